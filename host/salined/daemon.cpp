// salined put together: the order of construction is the order of need, the control loop does what
// no request waits for; see daemon.hpp.
#include "host/salined/daemon.hpp"

#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <thread>

#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/salined/card.hpp"
#include "host/salined/control.hpp"
#include "host/salined/dataplane.hpp"
#include "host/salined/eal.hpp"
#include "host/salined/engine.hpp"
#include "host/salined/netlink.hpp"
#include "host/salined/next_hops.hpp"
#include "host/salined/queue.hpp"
#include "host/salined/status.hpp"
#include "host/salined/variables.hpp"

namespace saline::daemon {
namespace {

using base::Error;
using Steady = std::chrono::steady_clock;

// Room for the headers of IPsec in what the wire carries.
constexpr std::uint16_t kProtectionRoom = 100;
constexpr std::uint16_t kSmallestMtu = 1280;  // of IPv6
// How often the control thread looks at what the data thread left for it.
constexpr int kControlPeriodMs = 20;
constexpr std::chrono::milliseconds kEventPeriod{250};
// News of one kind from the data thread between two looks at anything else.
constexpr std::size_t kNewsAtOnce = 64;

// Seconds since 1970 at start, then by a clock that is never set back.
std::uint64_t daemon_clock() {
  static const std::time_t start = std::time(nullptr);
  static const Steady::time_point steady_start = Steady::now();
  const auto elapsed =
      std::chrono::duration_cast<std::chrono::seconds>(Steady::now() - steady_start);
  return static_cast<std::uint64_t>(start + elapsed.count());
}

ipsec::Settings settings_from(const Options& options) {
  ipsec::Settings settings;
  for (const auto& [name, value] : options.variables) set_variable(settings, name, value);
  return settings;
}

std::unique_ptr<Port> open_host_port(const Options& options, const Port& wire, rte_mempool* pool) {
  if (!options.host_port.starts_with("tap:"))
    return open_ethdev(options.host_port, pool, options.mtu);
  const std::uint16_t room = wire.mtu() > kSmallestMtu + kProtectionRoom
                                 ? static_cast<std::uint16_t>(wire.mtu() - kProtectionRoom)
                                 : kSmallestMtu;
  return open_tap(options.host_port.substr(4), wire.mac(), options.mtu.value_or(room), pool);
}

std::unique_ptr<Card> open_card(const Options& options, const EthdevPort& wire,
                                const ipsec::Settings& settings) {
  auto card = options.offload == OffloadMode::never ? nullptr : Card::open(wire.id(), settings);
  if (card == nullptr && options.offload == OffloadMode::require) {
    throw Error(ENOTSUP, "the wire port " + wire.name() +
                             " carries no SAs itself: choose another port or --offload prefer");
  }
  return card;
}

class SignalDescriptor {
 public:
  SignalDescriptor() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd_ < 0) throw base::system_error("signalfd");
  }
  ~SignalDescriptor() { ::close(fd_); }
  SignalDescriptor(const SignalDescriptor&) = delete;
  SignalDescriptor& operator=(const SignalDescriptor&) = delete;
  int fd() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

class ServerAnnouncer : public Announcer {
 public:
  explicit ServerAnnouncer(pfkey::Server& server) : server_(server) {}
  bool anybody_registered() const override { return server_.anybody_registered(); }
  void to_registered(const pfkey::Message& message) override { server_.send_registered(message); }
  void to_all(const pfkey::Message& message) override { server_.send_all(message); }

 private:
  pfkey::Server& server_;
};

// The data thread for as long as the object lives.
class DataThread {
 public:
  explicit DataThread(Dataplane& dataplane)
      : thread_([this, &dataplane] { dataplane.run(stop_); }) {}
  ~DataThread() {
    stop_ = true;
    thread_.join();
  }
  DataThread(const DataThread&) = delete;
  DataThread& operator=(const DataThread&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class Daemon {
 public:
  explicit Daemon(const Options& options)
      : settings_(settings_from(options)),
        eal_(options),
        wire_(open_ethdev(options.wire_port, eal_.frames(), options.wire_mtu)),
        host_(open_host_port(options, *wire_, eal_.frames())),
        provider_(crypto::make_provider()),
        card_(open_card(options, *wire_, settings_)),
        software_only_(options.offload == OffloadMode::never ? "offload=never"
                                                             : "the port has no IPsec"),
        next_hops_(netlink_, if_nametoindex(host_->name().c_str()), options.next_hop),
        local_addresses_(std::make_unique<ipsec::LocalAddresses>()),
        engine_({sad_, spd_, *provider_, card_ ? static_cast<Offload&>(*card_) : software_only_,
                 options.offload, daemon_clock, options.allow_legacy, settings_.sa}),
        dataplane_({*host_, *wire_, *eal_.frames(), sad_, spd_, *provider_, card_.get(),
                    next_hops_.view(), local_addresses_, settings_, daemon_clock, options.lcore,
                    &engine_.encapsulation_ports()}),
        server_({.path = options.socket_path}, engine_),
        announcer_(server_),
        control_(options.control_path, [this](const auto& question) { return answer(question); }) {
    engine_.set_announcer(&announcer_);
    read_addresses();
  }

  ~Daemon() {
    engine_.set_announcer(nullptr);
    engine_.destroy_all();
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  void run() {
    const DataThread data_thread(dataplane_);
    base::log(base::Priority::notice, "salined", "ready",
              {{"host", host_->name()},
               {"wire", wire_->name()},
               {"card", card_ ? "yes" : "no"},
               {"mtu", std::to_string(host_->mtu())}});
    while (control_turn()) {
    }
    base::log(base::Priority::notice, "salined", "stopping");
    engine_.set_announcer(nullptr);
    engine_.destroy_all();
  }

 private:
  // Waits for something to do and does it; false when it is time to end.
  bool control_turn() {
    std::array<pollfd, 4> watched{{{server_.fd(), POLLIN, 0},
                                   {netlink_.changes_fd(), POLLIN, 0},
                                   {control_.fd(), POLLIN, 0},
                                   {signals_.fd(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), kControlPeriodMs) < 0 && errno != EINTR) {
      throw base::system_error("poll");
    }
    if (watched[3].revents != 0) return false;
    if (watched[0].revents != 0) server_.poll(0);
    if (watched[1].revents != 0) follow_kernel();
    if (watched[2].revents != 0) control_.serve();
    serve_data_thread();
    serve_clock();
    return true;
  }

  void follow_kernel() {
    const Netlink::Changes changes = netlink_.take_changes();
    if (changes.addresses) read_addresses();
    if (changes.paths || changes.addresses) next_hops_.refresh();
  }

  void read_addresses() {
    std::vector<base::Address> addresses = netlink_.addresses();
    local_addresses_.publish(std::make_unique<ipsec::LocalAddresses>(addresses));
    engine_.set_local_addresses(std::move(addresses));
  }

  void serve_data_thread() {
    use_some(
        kNewsAtOnce, [this] { return dataplane_.next_acquire(); },
        [this](const AcquireNeed& need) { engine_.acquire_needed(need); });
    use_some(
        kNewsAtOnce, [this] { return dataplane_.next_wanted_hop(); },
        [this](const base::Address& destination) { next_hops_.wanted(destination); });
  }

  void serve_clock() {
    const auto now = Steady::now();
    if (now >= next_events_) {
      engine_.take_events();
      next_events_ = now + kEventPeriod;
    }
    if (now >= next_tick_) {
      engine_.tick();
      for (const Keepalive& packet : engine_.take_keepalives()) dataplane_.push_keepalive(packet);
      next_tick_ = now + std::chrono::seconds(1);
    }
  }

  std::string sysctl(const std::string& question) {
    if (card_ && question.find('=') != std::string::npos && shapes_outer_headers(question)) {
      return "error: SAs in the card keep their outer headers: start salined with --set\n";
    }
    std::string text = answer_sysctl(settings_, question);
    dataplane_.change_settings(settings_);
    return text;
  }

  std::string answer(const std::string& question) {
    const auto port = card_ ? std::optional(wire_->id()) : std::nullopt;
    if (question == "status") return to_text(collect_status(engine_, spd_, dataplane_, port));
    if (question == "status json") return to_json(collect_status(engine_, spd_, dataplane_, port));
    constexpr std::string_view kSysctl = "sysctl";
    if (question.starts_with(kSysctl)) {
      const std::size_t rest = std::min(question.size(), kSysctl.size() + 1);
      return sysctl(question.substr(rest));
    }
    return "unknown question\n";
  }

  ipsec::Settings settings_;
  SignalDescriptor signals_;
  Netlink netlink_;
  Eal eal_;
  std::unique_ptr<EthdevPort> wire_;
  std::unique_ptr<Port> host_;
  std::unique_ptr<crypto::Provider> provider_;
  ipsec::Sad sad_;
  ipsec::Spd spd_;
  std::unique_ptr<Card> card_;
  SoftwareOnly software_only_;
  NextHops next_hops_;
  base::Snapshot<ipsec::LocalAddresses> local_addresses_;
  Engine engine_;
  Dataplane dataplane_;
  pfkey::Server server_;
  ServerAnnouncer announcer_;
  ControlSocket control_;
  Steady::time_point next_events_{}, next_tick_{};
};

}  // namespace

void serve(const Options& options) { Daemon(options).run(); }

}  // namespace saline::daemon
