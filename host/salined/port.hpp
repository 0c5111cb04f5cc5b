// The two ends of the data plane, whatever is behind them: bursts of mbufs with Ethernet frames.
// One thread receives and sends. Set-up throws base::Error; bursts never do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

struct rte_mbuf;
struct rte_mempool;

namespace saline::daemon {

using MacAddress = std::array<std::uint8_t, 6>;

// What is reserved in front of a frame from the host, for the headers of a whole bundle.
inline constexpr std::uint16_t kFrameHeadroom = 384;
// And what an mbuf holds beyond the frame of the MTU, headroom included.
inline constexpr std::uint16_t kFrameSlack = 1024;

class Port {
 public:
  virtual ~Port() = default;

  virtual const std::string& name() const noexcept = 0;
  virtual MacAddress mac() const noexcept = 0;
  virtual std::uint16_t mtu() const noexcept = 0;

  // The largest frame that send() takes, in bytes; more than the MTU asks for where the other side
  // can take it.
  virtual std::uint32_t frame_max() const noexcept = 0;

  // Fills `frames` from the front; the frames are the caller's.
  virtual std::size_t receive(std::span<rte_mbuf*> frames) noexcept = 0;
  // Takes all frames: what cannot be sent is freed. Returns how many were sent.
  virtual std::size_t send(std::span<rte_mbuf*> frames) noexcept = 0;
};

// A TAP device: the kernel's NIC. Left down, without addresses, as a new NIC is; it disappears with
// the object. Throws Error: EBUSY when a device of that name exists, EPERM without CAP_NET_ADMIN.
std::unique_ptr<Port> open_tap(const std::string& name, const MacAddress& mac, std::uint16_t mtu,
                               rte_mempool* pool);

// A DPDK port that EAL has probed, configured with one queue each way and started; stopped and
// closed with the object.
class EthdevPort : public Port {
 public:
  virtual std::uint16_t id() const noexcept = 0;
};
// mtu: as the device has it when absent; throws Error when the device cannot take it.
std::unique_ptr<EthdevPort> open_ethdev(const std::string& device, rte_mempool* pool,
                                        std::optional<std::uint16_t> mtu = std::nullopt);

}  // namespace saline::daemon
