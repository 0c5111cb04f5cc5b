// Starting and ending DPDK's environment; see eal.hpp.
#include "host/salined/eal.hpp"

#include <dlfcn.h>
#include <limits.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "host/base/error.hpp"
#include "host/salined/port.hpp"

namespace saline::daemon {
namespace {

using base::Error;
namespace fs = std::filesystem;

constexpr unsigned kFrames = 8191;
constexpr unsigned kFrameCache = 256;
constexpr char kPlugin[] = "librte_net_saline.so";

void require_free_huge_pages() {
  std::ifstream meminfo("/proc/meminfo");
  for (std::string word; meminfo >> word;) {
    if (word != "HugePages_Free:") continue;
    unsigned long pages = 0;
    meminfo >> pages;
    if (pages > 0) return;
    break;
  }
  throw Error(ENOMEM,
              "there are no free hugepages: reserve some (sysctl vm.nr_hugepages=256) or start "
              "with --no-huge");
}

// Beside the executable, in the lib folder of the same build or installation.
std::string find_plugin() {
  char self[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length <= 0) throw base::system_error("readlink /proc/self/exe");
  const fs::path folder =
      fs::path(std::string(self, static_cast<std::size_t>(length))).parent_path();
  for (const fs::path& candidate :
       {folder / kPlugin, folder / "../lib" / kPlugin, folder / "../lib/saline" / kPlugin}) {
    if (fs::exists(candidate)) return fs::canonical(candidate);
  }
  throw Error(ENOENT, std::string(kPlugin) + " is not near " + folder.string() +
                          "; say where it is with --plugin");
}

// Registers the driver before EAL looks for it. EAL's own -d refuses files below a world-writable
// folder, and so a build in /tmp; here the file is as trusted as the executable beside it.
void load_plugin(const Options& options) {
  const std::string path = options.plugin_path.empty() ? find_plugin() : options.plugin_path;
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
    throw Error(ENOEXEC, std::string("the card's driver cannot be loaded: ") + dlerror());
  }
}

bool is_tap(const std::string& port) { return port.starts_with("tap:"); }

bool is_pci_address(const std::string& port) {
  return port.find(':') != std::string::npos && port.find(':') < port.find(',');
}

void add_device(const std::string& port, std::vector<std::string>& arguments, bool& pci) {
  if (is_tap(port)) return;
  arguments.push_back(is_pci_address(port) ? "-a" : "--vdev=" + port);
  if (is_pci_address(port)) {
    arguments.push_back(port);
    pci = true;
  }
}

std::string file_prefix() { return "salined-" + std::to_string(::getpid()); }

std::vector<std::string> eal_arguments(const Options& options) {
  const unsigned cpus = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::string> arguments = {"salined",
                                        "--no-telemetry",
                                        "--log-level=*:warning",
                                        "--lcores=0@(0-" + std::to_string(cpus - 1) + ")",
                                        "-m",
                                        std::to_string(options.memory_mb)};
  // Nothing of it in files, so that several daemons run side by side and leave nothing behind.
  if (options.huge_pages) {
    arguments.push_back("--in-memory");
  } else {
    arguments.insert(arguments.end(), {"--no-huge", "--no-shconf", "--iova-mode=va",
                                       "--file-prefix=" + file_prefix()});
  }
  bool pci = false;
  add_device(options.wire_port, arguments, pci);
  add_device(options.host_port, arguments, pci);
  if (!pci) arguments.push_back("--no-pci");
  return arguments;
}

// What an mbuf must hold: never less than DPDK's drivers expect.
std::uint16_t frame_room(const Options& options) {
  std::uint32_t mtu = std::max(options.mtu.value_or(0), options.wire_mtu.value_or(0));
  for (std::uint16_t port = 0; port < RTE_MAX_ETHPORTS; ++port) {
    std::uint16_t of_port = 0;
    if (rte_eth_dev_is_valid_port(port) != 0 && rte_eth_dev_get_mtu(port, &of_port) == 0) {
      mtu = std::max<std::uint32_t>(mtu, of_port);
    }
  }
  const std::uint32_t frame = std::max<std::uint32_t>(mtu + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN,
                                                      RTE_MBUF_DEFAULT_DATAROOM);
  return static_cast<std::uint16_t>(RTE_PKTMBUF_HEADROOM + frame + kFrameSlack);
}

// EAL leaves its folder of run-time files behind; ours is named by this process.
void remove_run_time_files() {
  const std::string folder = rte_eal_get_runtime_dir();
  std::error_code ignored;
  if (folder.ends_with(file_prefix())) fs::remove_all(folder, ignored);
}

void end_eal() {
  rte_eal_cleanup();
  remove_run_time_files();
}

}  // namespace

Eal::Eal(const Options& options) {
  if (options.huge_pages) require_free_huge_pages();
  if (options.wire_port.starts_with("net_saline")) load_plugin(options);
  rte_openlog_stream(stderr);
  std::vector<std::string> arguments = eal_arguments(options);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  if (rte_eal_init(static_cast<int>(arguments.size()), argv.data()) < 0) {
    remove_run_time_files();
    throw Error(rte_errno != 0 ? rte_errno : EIO,
                std::string("DPDK does not start (") + rte_strerror(rte_errno) +
                    "): the messages above say why; it needs root, and the wire port's device");
  }
  frames_ = rte_pktmbuf_pool_create("frames", kFrames, kFrameCache, 0, frame_room(options),
                                    SOCKET_ID_ANY);
  if (frames_ == nullptr) {
    const int failure = rte_errno;
    end_eal();
    throw Error(failure, "no memory for packets: give more with --memory");
  }
}

Eal::~Eal() { end_eal(); }

}  // namespace saline::daemon
