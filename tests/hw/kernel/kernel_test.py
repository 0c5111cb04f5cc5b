#!/usr/bin/env python3
"""Compares hw/kernel/kernel.xml and package_xo.tcl with the kernel's RTL ports, the registers of
saline.toml and the emulated board: what v++ and XRT are told is what is built.

usage: kernel_test.py REPOSITORY
"""
import pathlib
import re
import sys
import tomllib
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else ".").resolve()
KERNEL = xml.etree.ElementTree.parse(ROOT / "hw/kernel/kernel.xml").getroot().find("kernel")
RTL = (ROOT / "hw/kernel/saline_kernel.sv").read_text(encoding="utf-8")
TCL = (ROOT / "hw/kernel/package_xo.tcl").read_text(encoding="utf-8")
BOARD = (ROOT / "sim/emulation/board_layout.hpp").read_text(encoding="utf-8")
LINK = (ROOT / "hw/kernel/link_u55c.cfg").read_text(encoding="utf-8")
REGISTERS = {r[0]: r[1] for r in tomllib.loads(
    (ROOT / "hw/interface/saline.toml").read_text(encoding="utf-8"))["registers"]["list"]}


def rtl_ports():
    """Name -> (direction, bits)."""
    head = RTL[RTL.index(") ("):RTL.index(");")]
    found = re.findall(r"(input|output)\s+logic\s*(?:\[(\d+):0\])?\s*(\w+)", head)
    return {name: (direction, int(high or 0) + 1) for direction, high, name in found}


PORTS = rtl_ports()
# A signal of each kind that shows direction and width.
DATA = {"s_axi_control": ("s_axi_control_wdata", "input"),
        "m_axi_host": ("m_axi_host_wdata", "output"),
        "s_axis_rx": ("s_axis_rx_tdata", "input"),
        "m_axis_tx": ("m_axis_tx_tdata", "output")}
MODES = {"s_axi_control": "slave", "m_axi_host": "master", "s_axis_rx": "read_only",
         "m_axis_tx": "write_only"}


class Kernel(unittest.TestCase):
    def test_is_user_managed_and_named_as_its_module(self):
        self.assertEqual(KERNEL.get("hwControlProtocol"), "user_managed")
        self.assertIn(f"module {KERNEL.get('name')} #(", RTL)
        self.assertIn(f"nk={KERNEL.get('name')}:1:saline_0", LINK)

    def test_ports_are_those_of_the_rtl(self):
        ports = {p.get("name"): p for p in KERNEL.iter("port")}
        self.assertEqual(set(ports), set(DATA))
        for name, port in ports.items():
            signal, direction = DATA[name]
            self.assertEqual(PORTS[signal], (direction, int(port.get("dataWidth"))), name)
            self.assertEqual(port.get("mode"), MODES[name])
        prefixes = {re.sub(r"_[a-z]+$", "", n) for n in PORTS if n not in ("ap_clk", "ap_rst_n")}
        self.assertEqual(prefixes, set(DATA), "a bus the kernel description does not name")

    def test_master_has_64_bit_addresses(self):
        self.assertEqual(PORTS["m_axi_host_araddr"], ("output", 64))
        self.assertEqual(PORTS["m_axi_host_awaddr"], ("output", 64))

    def test_range_holds_every_register_and_is_what_the_rtl_decodes(self):
        port = next(p for p in KERNEL.iter("port") if p.get("name") == "s_axi_control")
        span = int(port.get("range"), 16)
        self.assertGreater(span, max(REGISTERS.values()) + 3)
        self.assertEqual(span, 1 << PORTS["s_axi_control_awaddr"][1])
        self.assertEqual(span, 1 << PORTS["s_axi_control_araddr"][1])
        self.assertIn(f"set_property range {span} ", TCL)
        self.assertEqual(span % 4096, 0, "Vitis wants whole pages of 4 KiB")

    def test_emulated_board_has_the_same_range_and_name(self):
        port = next(p for p in KERNEL.iter("port") if p.get("name") == "s_axi_control")
        span = re.search(r"kRegisterBytes = (0x[0-9a-f]+);", BOARD).group(1)
        self.assertEqual(int(span, 16), int(port.get("range"), 16))
        self.assertIn(f'kKernelName[] = "{KERNEL.get("name")}";', BOARD)

    def test_pointer_arguments_are_the_address_registers(self):
        pointers = {a.get("name"): int(a.get("offset"), 16) for a in KERNEL.iter("arg")
                    if a.get("addressQualifier") == "1"}
        registers = {name.removesuffix("_low"): offset for name, offset in REGISTERS.items()
                     if name.endswith("_low") and name != "cycles_low"}
        self.assertEqual(pointers, registers)
        for name, offset in registers.items():
            self.assertEqual(REGISTERS[name + "_high"], offset + 4)
        listed = re.search(r"foreach \{name offset\} \{([^}]*)\}", TCL).group(1).split()
        self.assertEqual({n: int(o, 16) for n, o in zip(listed[::2], listed[1::2])}, registers)

    def test_arguments_are_numbered_and_point_at_ports(self):
        arguments = list(KERNEL.iter("arg"))
        self.assertEqual([int(a.get("id")) for a in arguments], list(range(len(arguments))))
        for argument in arguments:
            self.assertIn(argument.get("port"), DATA)
            stream = argument.get("addressQualifier") == "4"
            self.assertEqual(stream, argument.get("port").find("axis") >= 0)

    def test_link_connects_every_port_of_the_kernel(self):
        for port in ("m_axi_host:HOST[0]", "s_axis_rx", "m_axis_tx"):
            self.assertIn(f"saline_0.{port}", LINK)


if __name__ == "__main__":
    unittest.main()
