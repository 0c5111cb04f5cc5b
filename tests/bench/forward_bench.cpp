// salined end to end, between two other programs: packets a second through the whole gateway, its
// data thread on one processor, the traffic on another. ESP tunnel, AES-128-GCM, one SA, in a
// network namespace of its own.
//
// Over memif, shared memory between processes, salined alone: DPDK's ipsec-secgw refuses every port
// without receive checksum offload, which leaves it TAP devices and hardware. So the two are
// compared over TAP devices, where system calls are most of the cost of both. ipsec-secgw is built
// from the distribution's source, unchanged, with librte_ipsec and crypto_aesni_mb.
//   forward.memif.aes-gcm-128.<packet bytes>.<encrypt|decrypt>.{mpps,gbps}
//   forward.tap.aes-gcm-128.<packet bytes>.encrypt.{mpps,vs_secgw}
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/bench/forward/child.hpp"
#include "tests/bench/forward/frames.hpp"
#include "tests/bench/forward/memif_traffic.hpp"
#include "tests/bench/forward/tap_traffic.hpp"

namespace {

using namespace saline::bench;

constexpr std::size_t kSizes[] = {64, 512, 1420};
constexpr int kRounds = 3;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

void run(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error(command + " failed");
}

std::string mac_text(const Mac& mac) {
  char text[18];
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                mac[4], mac[5]);
  return text;
}

// The programs are beside this one.
std::string program(const char* name) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

// salined with those two ports, configured and ready.
class Salined {
 public:
  Salined(const std::string& folder, const std::string& host, const std::string& wire)
      : socket_(folder + "/pfkey"),
        child_({program("salined"), "--no-huge", "--memory", "256", "--lcore", "1", "--host-port",
                host, "--wire-port", wire, "--mtu", "1500", "--next-hop", mac_text(kPeerMac),
                "--socket", socket_, "--control", folder + "/control"},
               folder + "/log") {
    std::ofstream script(folder + "/setkey.conf");
    script << "add 192.0.2.1 192.0.2.2 esp " << kSpi << " -m tunnel -E aes-gcm-16 " << kKey
           << ";\n";
    for (const char* direction : {"out", "in"})
      script << "spdadd 10.1.0.0/16 10.2.0.0/16 any -P " << direction
             << " ipsec esp/tunnel/192.0.2.1-192.0.2.2/require;\n";
    script.close();
    for (int tenth = 0; !std::filesystem::exists(socket_); ++tenth) {
      if (tenth == 300 || !child_.running()) throw std::runtime_error("salined: see " + folder);
      usleep(100'000);
    }
    run(program("setkey") + " -s " + socket_ + " -f " + folder + "/setkey.conf");
  }

 private:
  std::string socket_;
  Child child_;
};

// ipsec-secgw over TAP devices `plain` and `wire`.
class Secgw {
 public:
  explicit Secgw(const std::string& folder)
      : child_(command(configure(folder)), folder + "/secgw.log") {}

 private:
  static std::string configure(const std::string& folder) {
    std::ofstream out(folder + "/secgw.cfg");
    std::string key;
    for (int byte = 0; byte < 20; ++byte) {
      char text[4];
      std::snprintf(text, sizeof text, byte == 0 ? "%02x" : ":%02x", byte);
      key += text;
    }
    // Without an inbound SA it does not start.
    const std::string ports = " sport 0:65535 dport 0:65535\n";
    out << "sp ipv4 out esp protect " << kSpi << " pri 1 dst 10.2.0.0/16" << ports
        << "sp ipv4 in esp protect " << kSpi + 1 << " pri 1 dst 10.1.0.0/16" << ports << "sa out "
        << kSpi << " aead_algo aes-128-gcm aead_key " << key
        << " mode ipv4-tunnel src 192.0.2.1 dst 192.0.2.2\n"
        << "sa in " << kSpi + 1 << " aead_algo aes-128-gcm aead_key " << key
        << " mode ipv4-tunnel src 192.0.2.2 dst 192.0.2.1\n"
        << "rt ipv4 dst 192.0.2.2/32 port 1\n"
        << "rt ipv4 dst 10.1.0.0/16 port 0\n"
        << "neigh port 0 " << mac_text(kPeerMac) << "\n"
        << "neigh port 1 " << mac_text(kPeerMac) << "\n";
    return folder + "/secgw.cfg";
  }
  static std::vector<std::string> command(const std::string& config) {
    return {SALINE_SECGW,
            "-l",
            "1",
            "--no-huge",
            "-m",
            "600",
            "--file-prefix=secgw",
            "--no-pci",
            "--vdev",
            "crypto_aesni_mb0",
            "--vdev",
            "net_tap0,iface=plain,mac=" + mac_text(kPlainMac),
            "--vdev",
            "net_tap1,iface=wire,mac=" + mac_text(kWireMac),
            "--",
            "-p",
            "0x3",
            "-u",
            "0x2",
            "-P",
            "-l",
            "--config=(0,0,1),(1,0,1)",
            "-f",
            config};
  }
  Child child_;
};

void over_memif(const std::string& folder) {
  const auto port = [&](const char* name, const char* side, const Mac& mac) {
    return std::string(name) +
           ",role=server,socket-abstract=no,bsize=2048,rsize=10,mac=" + mac_text(mac) +
           ",socket=" + folder + "/" + side;
  };
  Salined gateway(folder, port("net_memif0", "plain", kPlainMac),
                  port("net_memif1", "wire", kWireMac));
  MemifTraffic traffic(folder);
  for (const std::size_t bytes : kSizes) {
    std::vector<double> encrypt, decrypt;
    std::vector<Frame> protected_frames, ignored{{}};
    const std::vector<Frame> clear{clear_frame(bytes)};
    for (int round = 0; round < kRounds; ++round) {
      encrypt.push_back(traffic.rate(true, clear, protected_frames));
      for (Frame& frame : protected_frames) address(frame, kWireMac);
      if (!protected_frames.empty())
        decrypt.push_back(traffic.rate(false, protected_frames, ignored));
    }
    for (const auto& [name, rates] : {std::pair{"encrypt", encrypt}, {"decrypt", decrypt}}) {
      const double rate = median(rates);
      std::printf("forward.memif.aes-gcm-128.%zu.%s.mpps: %.3f\n", bytes, name, rate / 1e6);
      std::printf("forward.memif.aes-gcm-128.%zu.%s.gbps: %.2f\n", bytes, name,
                  rate * static_cast<double>(bytes) * 8 / 1e9);
    }
  }
}

// Packets a second of a gateway over TAP devices, for each size.
std::vector<double> tap_rates() {
  for (const char* device : {"plain", "wire"}) {
    for (int tenth = 0; if_nametoindex(device) == 0 && tenth < 300; ++tenth) usleep(100'000);
    run(std::string("sysctl -qw net.ipv6.conf.") + device + ".disable_ipv6=1");
    run(std::string("ip link set ") + device + " up");
  }
  std::vector<double> rates;
  for (const std::size_t bytes : kSizes)
    rates.push_back(TapTraffic::rate("plain", "wire", clear_frame(bytes)));
  return rates;
}

void over_tap(const std::string& folder) {
  std::vector<double> ours[std::size(kSizes)], ratios[std::size(kSizes)];
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> salined, secgw;
    {
      const std::string own = folder + "/tap" + std::to_string(round);
      std::filesystem::create_directory(own);
      Salined gateway(own, "net_tap0,iface=plain,mac=" + mac_text(kPlainMac),
                      "net_tap1,iface=wire,mac=" + mac_text(kWireMac));
      salined = tap_rates();
    }
    {
      Secgw gateway(folder);
      secgw = tap_rates();
    }
    for (std::size_t i = 0; i < std::size(kSizes); ++i) {
      ours[i].push_back(salined[i]);
      if (secgw[i] != 0) ratios[i].push_back(salined[i] / secgw[i]);
    }
  }
  for (std::size_t i = 0; i < std::size(kSizes); ++i) {
    std::printf("forward.tap.aes-gcm-128.%zu.encrypt.mpps: %.3f\n", kSizes[i],
                median(ours[i]) / 1e6);
    if (!ratios[i].empty())
      std::printf("forward.tap.aes-gcm-128.%zu.encrypt.vs_secgw: %.2f\n", kSizes[i],
                  median(ratios[i]));
  }
}

void use_processor(int number) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(number, &set);
  sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

int main() {
  if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
    std::printf("# forward: skipped, a network namespace needs root\n");
    return 0;
  }
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
    std::printf("# forward: skipped, gateway and traffic need a processor each\n");
    return 0;
  }
  char folder[] = "/tmp/saline-forward-XXXXXX";
  try {
    if (mkdtemp(folder) == nullptr) throw std::runtime_error("no temporary folder");
    umask(077);
    run("ip link set lo up");
    over_tap(folder);
    use_processor(0);
    over_memif(folder);
    std::filesystem::remove_all(folder);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forward_bench: %s\n", error.what());
    return 1;
  }
}
