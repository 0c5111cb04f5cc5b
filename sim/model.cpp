// Transport "model": the Verilated card inside this process. The card's bus addresses are addresses
// of this process. Time passes during register accesses and in progress(), only while the card has
// work; one mutex makes the calls of several threads one after the other.
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include "driver/transport.hpp"
#include "host/base/error.hpp"
#include "sim/card.hpp"
#include "sim/mac_link.hpp"

namespace saline::sim {

namespace {

// One progress() gives at most so many clocks: about a dozen frames, so that the driver can post
// and take while the card is busy.
constexpr unsigned kProgressCycles = 500;
constexpr std::size_t kPage = 4096;

// Memory of this process, reached through the kernel so that a wrong address becomes a bus error
// of the card and not the end of the process.
class ProcessMemory final : public Memory {
 public:
  bool read(std::uint64_t address, std::span<std::uint8_t> out) noexcept override {
    iovec here{out.data(), out.size()};
    iovec there{reinterpret_cast<void*>(address), out.size()};
    const ssize_t done = ::process_vm_readv(process_, &here, 1, &there, 1, 0);
    return moved(done, out.size(), [&] { std::memcpy(out.data(), there.iov_base, out.size()); });
  }

  bool write(std::uint64_t address, std::span<const std::uint8_t> data) noexcept override {
    iovec here{const_cast<std::uint8_t*>(data.data()), data.size()};
    iovec there{reinterpret_cast<void*>(address), data.size()};
    const ssize_t done = ::process_vm_writev(process_, &here, 1, &there, 1, 0);
    return moved(done, data.size(), [&] { std::memcpy(there.iov_base, data.data(), data.size()); });
  }

 private:
  // Where the call itself is forbidden (a container's filter), addresses have to be believed.
  template <class Copy>
  static bool moved(ssize_t done, std::size_t wanted, Copy copy) noexcept {
    if (done >= 0) return static_cast<std::size_t>(done) == wanted;
    if (errno != EPERM && errno != ENOSYS) return false;
    copy();
    return true;
  }

  pid_t process_ = ::getpid();
};

class MappedMemory final : public driver::DmaMemory {
 public:
  explicit MappedMemory(std::size_t bytes) : bytes_((bytes + kPage - 1) / kPage * kPage) {
    if (bytes_ == 0) bytes_ = kPage;
    data_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) {
      throw base::Error(ENOMEM, "no memory for " + std::to_string(bytes_) + " bytes of rings");
    }
  }
  ~MappedMemory() override { ::munmap(data_, bytes_); }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;

  std::span<std::uint8_t> host() noexcept override {
    return {static_cast<std::uint8_t*>(data_), bytes_};
  }
  std::uint64_t device_address() const noexcept override {
    return reinterpret_cast<std::uint64_t>(data_);
  }
  void to_device(std::size_t, std::size_t) override {}
  void from_device(std::size_t, std::size_t) override {}

 private:
  std::size_t bytes_;
  void* data_ = nullptr;
};

class ModelTransport final : public driver::Transport {
 public:
  explicit ModelTransport(const std::string& link)
      : mac_(open_mac_link(link)), card_(memory_, *mac_) {}

  std::uint32_t read32(std::uint32_t offset) override {
    const std::lock_guard lock(mutex_);
    return card_.read32(offset);
  }
  void write32(std::uint32_t offset, std::uint32_t value) override {
    const std::lock_guard lock(mutex_);
    card_.write32(offset, value);
  }
  std::unique_ptr<driver::DmaMemory> allocate(std::size_t bytes) override {
    return std::make_unique<MappedMemory>(bytes);
  }
  bool addresses_process_memory() const noexcept override { return true; }
  void progress() noexcept override {
    const std::lock_guard lock(mutex_);
    card_.run(kProgressCycles);
  }
  std::string description() const override { return "model"; }

 private:
  std::mutex mutex_;
  ProcessMemory memory_;
  std::unique_ptr<Mac> mac_;
  Card card_;
};

}  // namespace

}  // namespace saline::sim

extern "C" saline::driver::Transport* saline_open_transport(
    const saline::driver::Options& options) {
  std::string link = "loopback";
  for (const auto& [key, value] : options) {
    if (key != "mac") {
      throw saline::base::Error(EINVAL, "the model does not know \"" + key +
                                            "\": its only option is mac=loopback, mac=none or "
                                            "mac=iface:NAME");
    }
    link = value;
  }
  return new saline::sim::ModelTransport(link);
}
