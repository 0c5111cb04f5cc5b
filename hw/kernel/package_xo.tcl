# Packages saline_kernel as a Vitis kernel object.
# usage: vivado -mode batch -source package_xo.tcl -tclargs REPOSITORY OUTPUT.xo PART
lassign $argv root output part
set work [file join [file dirname $output] package]
file delete -force $work $output
create_project -force package $work/project -part $part
# Packages first: Vivado keeps this order for files without a dependency it can see.
add_files [concat [list $root/hw/interface/saline_pkg.sv] [lsort [glob $root/hw/rtl/*_pkg.sv]]]
foreach file [lsort [glob $root/hw/rtl/*.sv]] {
  if {![string match *_pkg.sv $file]} { add_files $file }
}
add_files $root/hw/kernel/saline_kernel.sv
set_property top saline_kernel [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir $work/ip -vendor saline -library kernel -taxonomy /KernelIP \
  -import_files -set_current false
ipx::unload_core $work/ip/component.xml
ipx::edit_ip_in_project -upgrade true -name edit -directory $work/edit $work/ip/component.xml
set core [ipx::current_core]
set_property name saline_kernel $core
set_property version 1.0 $core
set_property sdx_kernel true $core
set_property sdx_kernel_type rtl $core
set_property supported_families {} $core
set_property auto_family_support_level level_2 $core
foreach interface {s_axi_control m_axi_host s_axis_rx m_axis_tx} {
  ipx::associate_bus_interfaces -busif $interface -clock ap_clk $core
}
# Registers whose value is an address: v++ has to know which master follows it.
set map [ipx::add_memory_map s_axi_control $core]
set_property slave_memory_map_ref s_axi_control \
  [ipx::get_bus_interfaces s_axi_control -of_objects $core]
set block [ipx::add_address_block reg0 $map]
set_property range 4096 $block
foreach {name offset} {tx_base 0x080 tx_head 0x090 rx_base 0x0a0 rx_done 0x0b0 event_base 0x0c0} {
  set register [ipx::add_register $name $block]
  set_property address_offset $offset $register
  set_property size 64 $register
  set bus [ipx::add_register_parameter ASSOCIATED_BUSIF $register]
  set_property value m_axi_host $bus
}
ipx::update_checksums $core
ipx::check_integrity -kernel $core
ipx::save_core $core
close_project -delete

package_xo -force -xo_path $output -kernel_name saline_kernel -ip_directory $work/ip \
  -kernel_xml $root/hw/kernel/kernel.xml
