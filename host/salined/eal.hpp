// DPDK's environment: started once, with what the options ask for, ended with the object.
#pragma once

#include <cstdint>

#include "host/salined/options.hpp"

struct rte_mempool;

namespace saline::daemon {

class Eal {
 public:
  // Loads the card's driver when the wire port is a net_saline, checks for hugepages, starts EAL
  // with the ports' devices. Throws Error that says what to do.
  explicit Eal(const Options& options);
  ~Eal();
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;

  // mbufs for frames of the largest MTU of the options' ports; lives as long as this.
  rte_mempool* frames() const noexcept { return frames_; }

 private:
  rte_mempool* frames_ = nullptr;
};

}  // namespace saline::daemon
