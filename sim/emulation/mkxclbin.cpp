// saline-mkxclbin FILE: writes the xclbin of the emulated board. Debian ships no xclbinutil, and
// the container is simple: a header, a table of sections, the sections on 8-byte boundaries
// (xclbin.h). There is no BITSTREAM section: xrt.ini's sim_dir says where the simulator is.
#include <xclbin.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "host/base/error.hpp"
#include "sim/emulation/board_layout.hpp"

namespace saline::sim {
namespace {

constexpr char kPlatform[] = "xilinx_u55c_gen3x16_xdma_base_3";
constexpr std::int32_t kHostBank = 1;

struct Section {
  axlf_section_kind kind;
  const char* name;
  std::string content;
};

template <class Record>
void append(std::string& out, const Record& record) {
  out.append(reinterpret_cast<const char*>(&record), sizeof(record));
}

template <std::size_t Size, class Char>
void set_text(Char (&to)[Size], const std::string& text) {
  std::memset(to, 0, Size);
  std::memcpy(to, text.data(), std::min(text.size(), Size - 1));
}

// The count of these two tables is followed by padding up to the first entry.
std::string table_head(std::int32_t count, std::size_t entries_at) {
  std::string out(entries_at, '\0');
  std::memcpy(out.data(), &count, sizeof(count));
  return out;
}

mem_data memory_bank(MEM_TYPE type, const char* tag, std::uint64_t base, std::uint64_t bytes) {
  mem_data bank{};
  bank.m_type = static_cast<std::uint8_t>(type);
  bank.m_used = 1;
  bank.m_size = bytes / 1024;
  bank.m_base_address = base;
  set_text(bank.m_tag, tag);
  return bank;
}

// libxrt indexes banks by position, and knows host memory by its tag.
std::string memory_topology() {
  std::string out = table_head(2, offsetof(mem_topology, m_mem_data));
  append(out, memory_bank(MEM_HBM, "HBM[0]", 0, kDeviceMemoryBytes));
  append(out, memory_bank(MEM_DRAM, "HOST[0]", kHostMemoryBase, kHostMemoryBytes));
  return out;
}

std::string kernel_layout() {
  ip_data kernel{};
  kernel.m_type = IP_KERNEL;
  kernel.properties = static_cast<std::uint32_t>(AP_CTRL_NONE) << IP_CONTROL_SHIFT;
  kernel.m_base_address = kRegisterBase;
  set_text(kernel.m_name, std::string(kKernelName) + ":" + kUnitName);
  std::string out = table_head(1, offsetof(ip_layout, m_ip_data));
  append(out, kernel);
  return out;
}

std::string bank_connections() {
  std::string out = table_head(1, offsetof(connectivity, m_connection));
  append(out, connection{0, 0, kHostBank});
  return out;
}

std::string hexadecimal(std::uint64_t value) {
  char text[19];
  std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

// What v++ would write, as far as libxrt reads it; a missing attribute makes it throw.
std::string kernel_description() {
  const std::string range = hexadecimal(kRegisterBytes);
  return R"(<?xml version="1.0" encoding="UTF-8"?>
<project name="saline">
 <platform vendor="xilinx" boardid="u55c" name="saline_emulation" featureRomTime="0">
  <version major="1" minor="0"/>
  <device name="fpga0" fpgaDevice="virtexuplusHBM:xcu55c:fsvh2892:-2L:e" addrWidth="0">
   <core name="OCL_REGION_0" target="hw_em" type="clc_region" clockFreq="0MHz" numComputeUnits="1">
    <kernelClocks><clock port="KERNEL_CLK" frequency="300MHz"/></kernelClocks>
    <kernel name=")" +
         std::string(kKernelName) + R"(" language="ip" type="pl">
     <port name="s_axi_control" mode="slave" range=")" +
         range + R"(" dataWidth="32" portType="addressable" base="0x0"/>
     <port name="m_axi_host" mode="master" range="0xFFFFFFFFFFFFFFFF" dataWidth="512"
           portType="addressable" base="0x0"/>
     <arg name="tx_base" addressQualifier="1" id="0" port="m_axi_host" size="0x8" offset="0x80"
          hostOffset="0x0" hostSize="0x8" type="void*"/>
     <instance name=")" +
         kUnitName + R"("><addrRemap base=")" + hexadecimal(kRegisterBase) + R"(" range=")" +
         range + R"(" port="s_axi_control"/></instance>
    </kernel>
   </core>
  </device>
 </platform>
</project>
)";
}

axlf container_head(std::size_t sections) {
  axlf head{};
  std::memcpy(head.m_magic, "xclbin2", 8);
  head.m_signature_length = -1;
  std::memset(head.reserved, 0xff, sizeof(head.reserved));
  head.m_uniqueId = 1;
  head.m_header.m_versionMajor = 2;
  head.m_header.m_versionMinor = 13;
  head.m_header.m_versionPatch = 466;
  head.m_header.m_mode = XCLBIN_HW_EMU;
  set_text(head.m_header.m_platformVBNV, kPlatform);
  std::memcpy(head.m_header.uuid, "saline-emulation", 16);
  head.m_header.m_numSections = static_cast<std::uint32_t>(sections);
  return head;
}

void pad(std::string& out) { out.resize((out.size() + 7) & ~std::size_t{7}, '\0'); }

std::string container(const std::vector<Section>& sections) {
  axlf head = container_head(sections.size());
  const std::size_t table_at = offsetof(axlf, m_sections);
  std::string out(table_at + sections.size() * sizeof(axlf_section_header), '\0');
  pad(out);
  std::string table;
  for (const Section& section : sections) {
    axlf_section_header entry{};
    entry.m_sectionKind = section.kind;
    set_text(entry.m_sectionName, section.name);
    entry.m_sectionOffset = out.size();
    entry.m_sectionSize = section.content.size();
    append(table, entry);
    out += section.content;
    pad(out);
  }
  head.m_header.m_length = out.size();
  std::memcpy(out.data(), &head, table_at);
  std::memcpy(out.data() + table_at, table.data(), table.size());
  return out;
}

void write_board(const char* path) {
  const std::string image = container({
      {EMBEDDED_METADATA, "xml", kernel_description()},
      {MEM_TOPOLOGY, "mem_topology", memory_topology()},
      {IP_LAYOUT, "ip_layout", kernel_layout()},
      {CONNECTIVITY, "connectivity", bank_connections()},
      {ASK_GROUP_TOPOLOGY, "group_topology", memory_topology()},
      {ASK_GROUP_CONNECTIVITY, "group_connect", bank_connections()},
  });
  std::ofstream file(path, std::ios::binary);
  file.write(image.data(), static_cast<std::streamsize>(image.size()));
  if (!file.flush()) throw base::system_error(std::string("write ") + path);
}

}  // namespace
}  // namespace saline::sim

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FILE.xclbin\n", argv[0]);
    return 2;
  }
  try {
    saline::sim::write_board(argv[1]);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "saline-mkxclbin: %s\n", e.what());
    return 1;
  }
}
