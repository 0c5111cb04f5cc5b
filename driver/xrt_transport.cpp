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
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <optional>

#include "driver/transport.hpp"
#include "host/base/error.hpp"

namespace saline::driver {
namespace {

constexpr const char* kKernel = "saline_kernel:";
constexpr std::size_t kPageBytes = 4096;

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

class XrtMemory : public DmaMemory {
 public:
  XrtMemory(const xrt::device& device, std::size_t bytes, xrt::memory_group bank)
      : buffer_(device, bytes, xrt::bo::flags::host_only, bank),
        host_(buffer_.map<std::uint8_t*>()),
        bytes_(bytes),
        address_(buffer_.address()) {
    std::memset(host_, 0, bytes);
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
    bank_ = kernel.host_bank;
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
  }

  std::unique_ptr<DmaMemory> allocate(std::size_t bytes) override {
    const std::size_t rounded = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    return guarded(ENOMEM,
                   "cannot allocate " + std::to_string(rounded) +
                       " bytes of host memory for the card (on a card: xbutil configure "
                       "--host-mem --size 1G enable, before the image is loaded)",
                   [&] { return std::make_unique<XrtMemory>(device_, rounded, bank_); });
  }

  bool addresses_process_memory() const noexcept override { return false; }
  void progress() noexcept override {}
  std::string description() const override {
    return is_emulated() ? "xrt, hardware emulation" : "xrt, " + name_;
  }

 private:
  void open_device() {
    const bool is_index = name_.find_first_not_of("0123456789") == std::string::npos;
    device_ = is_index ? xrt::device(static_cast<unsigned>(std::stoul(name_))) : xrt::device(name_);
  }

  std::string name_;
  xrt::device device_;
  std::optional<xrt::ip> ip_;
  xrt::memory_group bank_ = 0;
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
