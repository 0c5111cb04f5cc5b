// Finds a transport library beside the program or library this code is linked into, in the lib
// folder next to a bin folder, then along the dynamic linker's path.
#include "driver/transport.hpp"

#include <dlfcn.h>

#include <cerrno>
#include <filesystem>

#include "host/base/error.hpp"

namespace saline::driver {
namespace {

// The directory of the object that holds this function.
std::filesystem::path own_directory() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&own_directory), &info) == 0 || !info.dli_fname) {
    return {};
  }
  std::error_code error;
  std::filesystem::path self = std::filesystem::canonical(info.dli_fname, error);
  // A main program may be known by its argv[0] alone.
  if (error) self = std::filesystem::canonical("/proc/self/exe", error);
  return error ? std::filesystem::path{} : self.parent_path();
}

}  // namespace

std::unique_ptr<Transport> open_transport(const std::string& kind, const Options& options) {
  if (kind.empty() || kind.find('/') != std::string::npos) {
    throw base::Error(EINVAL, "\"" + kind + "\" is not a kind of transport: say model or xrt");
  }
  const std::string name = "libsaline_transport_" + kind + ".so";
  const std::filesystem::path own = own_directory();
  void* library = nullptr;
  std::string cause;
  for (const auto& path :
       {own / name, own.parent_path() / "lib" / name, std::filesystem::path(name)}) {
    if (path.has_parent_path() && !std::filesystem::exists(path)) continue;
    // Never unloaded: its code outlives the Transport it makes. RTLD_LOCAL keeps two simulated
    // cards' symbols apart.
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library) break;
    const char* text = dlerror();
    if (cause.empty()) cause = text ? text : "unknown error";
  }
  if (!library) {
    throw base::Error(ENOENT, "no transport \"" + kind + "\": " + cause + "; build " + name +
                                  " (target saline_transport_" + kind + ") into " + own.string() +
                                  " or install it");
  }
  const auto factory = reinterpret_cast<TransportFactory>(dlsym(library, "saline_open_transport"));
  if (!factory) {
    throw base::Error(ENOENT, name +
                                  " is not a Saline transport: it exports no "
                                  "saline_open_transport");
  }
  return std::unique_ptr<Transport>(factory(options));
}

}  // namespace saline::driver
