// The XRT transport: registers by xrt::ip, shared memory in host-only buffers that the card
// masters. The same code drives a card and libxrt's hardware emulation (XCL_EMULATION_MODE=hw_emu).
//
// XRT's exceptions end here, as base::Error naming cause and cure. Interrupts are not used: the
// rings are polled. docs/emulation.md tells what emulation needs around this.
#include <experimental/xrt_ip.h>
#include <experimental/xrt_xclbin.h>
#include <xrt/xrt_bo.h>
#include <xrt/xrt_device.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "driver/transport.hpp"
#include "host/base/error.hpp"
#include "host/base/secret.hpp"
#include "hw/interface/saline_hw.hpp"

namespace saline::driver {
namespace {

constexpr const char* kKernel = "saline_kernel:";
constexpr std::size_t kPageBytes = 4096;
constexpr std::chrono::milliseconds kEmulationTurn{10};

// Runs one XRT call; what it throws becomes an Error with this sentence in front.
template <class Call>
auto guarded(int errno_value, const std::string& sentence, Call&& call) {
  try {
    return call();
  } catch (const base::Error&) {
    throw;
  } catch (const std::exception& e) {
    throw base::Error(errno_value, sentence + ": " + e.what());
  }
}

bool is_emulated() { return std::getenv("XCL_EMULATION_MODE") != nullptr; }

// libxrt loads its driver library from $XILINX_XRT/lib and says little when it is not there.
void check_environment() {
  const char* root = std::getenv("XILINX_XRT");
  if (!root || !*root) {
    throw base::Error(ENOENT,
                      "XILINX_XRT is not set: source /opt/xilinx/xrt/setup.sh for a card, "
                      "or run the program through sim/emulation/run for an emulated one");
  }
  const char* mode = std::getenv("XCL_EMULATION_MODE");
  if (mode && std::strcmp(mode, "hw_emu") != 0) {
    throw base::Error(EINVAL, std::string("XCL_EMULATION_MODE is \"") + mode +
                                  "\": unset it for a card, or set hw_emu");
  }
}

// Host-only buffers of one device. A buffer that is given back is kept until the device closes and
// handed out again: libxrt's emulation never forgets the address of a freed one and later writes
// there.
class BufferPool {
 public:
  BufferPool(const xrt::device& device, xrt::memory_group bank) : device_(device), bank_(bank) {}

  // The smallest kept buffer that is large enough, or a new one.
  xrt::bo take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto kept = kept_.lower_bound(bytes);
    if (kept == kept_.end()) return {device_, bytes, xrt::bo::flags::host_only, bank_};
    return std::move(kept_.extract(kept).mapped());
  }
  void give_back(xrt::bo buffer) {
    const std::lock_guard lock(mutex_);
    kept_.emplace(buffer.size(), std::move(buffer));
  }

 private:
  std::mutex mutex_;
  xrt::device device_;
  xrt::memory_group bank_;
  std::multimap<std::size_t, xrt::bo> kept_;
};

class XrtMemory : public DmaMemory {
 public:
  XrtMemory(std::shared_ptr<BufferPool> pool, std::size_t bytes)
      : pool_(std::move(pool)),
        buffer_(pool_->take(bytes)),
        host_(buffer_.map<std::uint8_t*>()),
        bytes_(bytes),
        address_(buffer_.address()) {
    std::memset(host_, 0, bytes);
  }
  ~XrtMemory() override {
    try {
      base::wipe(host());  // packets in the clear were here
      pool_->give_back(std::move(buffer_));
    } catch (...) {  // no memory to remember it by: it is freed
    }
  }
  std::span<std::uint8_t> host() noexcept override { return {host_, bytes_}; }
  std::uint64_t device_address() const noexcept override { return address_; }
  // Host-only memory is coherent with PCIe on every platform XRT knows; xrt::bo::sync would be a
  // system call that does nothing.
  void to_device(std::size_t, std::size_t) override {
    std::atomic_thread_fence(std::memory_order_release);
  }
  void from_device(std::size_t, std::size_t) override {
    std::atomic_thread_fence(std::memory_order_acquire);
  }

 private:
  std::shared_ptr<BufferPool> pool_;
  xrt::bo buffer_;
  std::uint8_t* host_;
  std::size_t bytes_;
  std::uint64_t address_;
};

struct KernelChoice {
  std::string name;  // as xrt::ip wants it: "saline_kernel:{saline_0}"
  xrt::memory_group host_bank = 0;
};

KernelChoice find_kernel(const xrt::xclbin& image, const std::string& path) {
  for (const xrt::xclbin::ip& ip : image.get_ips()) {
    const std::string name = ip.get_name();
    if (name.rfind(kKernel, 0) != 0) continue;
    for (const xrt::xclbin::arg& argument : ip.get_args()) {
      for (const xrt::xclbin::mem& bank : argument.get_mems()) {
        if (bank.get_tag().rfind("HOST", 0) != 0) continue;
        const std::string unit = name.substr(std::strlen(kKernel));
        return {kKernel + ("{" + unit + "}"), static_cast<xrt::memory_group>(bank.get_index())};
      }
    }
    throw base::Error(ENODEV, path +
                                  ": its saline_kernel is not connected to host memory; link "
                                  "it with sp=saline_0.m_axi_host:HOST[0]");
  }
  throw base::Error(ENODEV, path + " holds no saline_kernel: give xclbin= a Saline image");
}

class XrtTransport : public Transport {
 public:
  XrtTransport(const std::string& device, const std::string& path) : name_(device) {
    check_environment();
    if (!std::filesystem::exists(path)) {
      throw base::Error(ENOENT, "xclbin=" + path + ": there is no such file");
    }
    guarded(ENODEV, "cannot open XRT device " + device + " (xbutil examine lists cards)",
            [&] { open_device(); });
    const xrt::xclbin image =
        guarded(EINVAL, "cannot read " + path + " as an xclbin", [&] { return xrt::xclbin(path); });
    const KernelChoice kernel = guarded(EINVAL, "cannot read the kernels of " + path,
                                        [&] { return find_kernel(image, path); });
    pool_ = std::make_shared<BufferPool>(device_, kernel.host_bank);
    guarded(EIO, "cannot load " + path + " (is it built for this card's shell?)", [&] {
      const xrt::uuid id = device_.load_xclbin(image);
      ip_.emplace(device_, id, kernel.name);
    });
  }

  std::uint32_t read32(std::uint32_t offset) override {
    return guarded(EIO, "the card does not answer a register read",
                   [&] { return ip_->read_register(offset); });
  }

  void write32(std::uint32_t offset, std::uint32_t value) override {
    guarded(EIO, "the card does not answer a register write",
            [&] { ip_->write_register(offset, value); });
    if (emulated_) asked_ = true;
  }

  std::unique_ptr<DmaMemory> allocate(std::size_t bytes) override {
    const std::size_t rounded = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    return guarded(ENOMEM,
                   "cannot allocate " + std::to_string(rounded) +
                       " bytes of host memory for the card (on a card: xbutil configure "
                       "--host-mem --size 1G enable, before the image is loaded)",
                   [&] { return std::make_unique<XrtMemory>(pool_, rounded); });
  }

  bool addresses_process_memory() const noexcept override { return false; }
  // A simulated card is slower than the programs that poll it expect of a card: after a register
  // write it gets the time to do what it was told. Idle is seen twice, since a frame may be on its
  // way round the MAC.
  void progress() noexcept override {
    if (!emulated_ || !asked_.exchange(false)) return;
    const auto limit = std::chrono::steady_clock::now() + kEmulationTurn;
    try {
      for (int idle = 0; idle < 2;) {
        idle = (read32(hw::reg::status) & 1) != 0 ? idle + 1 : 0;
        if (std::chrono::steady_clock::now() < limit) continue;
        asked_ = true;
        return;
      }
    } catch (...) {  // who reads or writes a register next will say so
    }
  }
  std::string description() const override {
    return emulated_ ? "xrt, hardware emulation" : "xrt, " + name_;
  }

 private:
  void open_device() {
    const bool is_index = name_.find_first_not_of("0123456789") == std::string::npos;
    device_ = is_index ? xrt::device(static_cast<unsigned>(std::stoul(name_))) : xrt::device(name_);
  }

  std::string name_;
  xrt::device device_;
  std::optional<xrt::ip> ip_;
  std::shared_ptr<BufferPool> pool_;
  const bool emulated_ = is_emulated();
  std::atomic<bool> asked_{false};  // a register was written since progress saw the card idle
};

Transport* open_xrt(const Options& options) {
  std::string device = "0", path;
  if (const char* image = std::getenv("SALINE_XCLBIN")) path = image;
  for (const auto& [key, value] : options) {
    if (key == "device" && !value.empty()) {
      device = value;
    } else if (key == "xclbin") {
      path = value;
    } else {
      throw base::Error(EINVAL, "the xrt transport has no option \"" + key + "=" + value +
                                    "\"; it knows device=INDEX-or-BDF and xclbin=PATH");
    }
  }
  if (path.empty()) {
    throw base::Error(EINVAL,
                      "the xrt transport needs xclbin=PATH (or SALINE_XCLBIN), the image "
                      "of the card");
  }
  return new XrtTransport(device, path);
}

}  // namespace
}  // namespace saline::driver

extern "C" saline::driver::Transport* saline_open_transport(
    const saline::driver::Options& options) {
  return saline::driver::open_xrt(options);
}
