# Verilated models as CMake libraries, for tests/hw and sim.
#
# saline_verilate(NAME TOP module [PARAMETERS LANES=1 ...] [PACKAGES file.sv ...] [FLAGS ...])
#   a static library NAME whose header is V<module>.h. Modules are found by name in hw/rtl (and in
#   the directories given as `-y dir` in FLAGS); packages are read first:
#   hw/interface/saline_pkg.sv, hw/rtl/*_pkg.sv, then PACKAGES. Any warning is an
#   error, but for unused package parameters.
# saline_verilate_test(NAME TOP module SOURCES test.cpp ... [LIBS ...] [LABELS ...] [as above])
#   one GoogleTest program over such a model; its ctest names are prefixed with NAME.
#
# Rebuilt only when a file Verilator has read changes (its own dependency list); the C++ goes
# through ccache.
find_program(VERILATOR verilator)
if(NOT VERILATOR)
  message(FATAL_ERROR "verilator is missing: install the Debian package verilator")
endif()
execute_process(COMMAND ${VERILATOR} --getenv VERILATOR_ROOT OUTPUT_VARIABLE VERILATOR_ROOT
                OUTPUT_STRIP_TRAILING_WHITESPACE)

if(NOT TARGET saline_verilated)
  add_library(saline_verilated STATIC ${VERILATOR_ROOT}/include/verilated.cpp
                                      ${VERILATOR_ROOT}/include/verilated_threads.cpp)
  target_include_directories(saline_verilated SYSTEM PUBLIC ${VERILATOR_ROOT}/include
                                                            ${VERILATOR_ROOT}/include/vltstd)
  target_compile_options(saline_verilated PRIVATE -w -O2 PUBLIC -faligned-new)
  target_link_libraries(saline_verilated PUBLIC Threads::Threads)
endif()

function(saline_verilate name)
  cmake_parse_arguments(ARG "" "TOP" "PARAMETERS;PACKAGES;FLAGS" ${ARGN})
  set(rtl ${PROJECT_SOURCE_DIR}/hw/rtl)
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/${name}.verilated)
  set(archive ${dir}/V${ARG_TOP}__ALL.a)
  set(packages)
  file(GLOB own CONFIGURE_DEPENDS ${rtl}/*_pkg.sv)
  foreach(file ${PROJECT_SOURCE_DIR}/hw/interface/saline_pkg.sv ${own} ${ARG_PACKAGES})
    if(EXISTS ${file})
      list(APPEND packages ${file})
    endif()
  endforeach()
  list(TRANSFORM ARG_PARAMETERS PREPEND -G)
  set(launcher)
  if(CCACHE)
    set(launcher ${CMAKE_COMMAND} -E env OBJCACHE=${CCACHE})
  endif()
  add_custom_command(
    OUTPUT ${archive}
    COMMAND ${launcher} ${VERILATOR} --cc --build -Wall -Wno-UNUSEDPARAM -O3
            --x-assign fast --x-initial fast --assert -Mdir ${dir} --top-module ${ARG_TOP} --prefix V${ARG_TOP} -y ${rtl}
            ${ARG_PARAMETERS} ${ARG_FLAGS} -CFLAGS -fPIC -MAKEFLAGS OPT_FAST=-O2
            -MAKEFLAGS --silent -MAKEFLAGS --no-print-directory ${packages} ${ARG_TOP}
    # Verilator names its C++ files as targets; ninja wants the archive.
    COMMAND sed -e "s,^.* : ,${archive}: ," ${dir}/V${ARG_TOP}__ver.d > ${dir}.d
    DEPENDS ${packages}
    DEPFILE ${dir}.d
    COMMENT "Verilating ${ARG_TOP} ${ARG_PARAMETERS}"
    VERBATIM)
  add_custom_target(${name}_archive DEPENDS ${archive})
  add_library(${name} INTERFACE)
  add_dependencies(${name} ${name}_archive)
  target_include_directories(${name} SYSTEM INTERFACE ${dir})
  target_link_libraries(${name} INTERFACE ${archive} saline_verilated)
endfunction()

function(saline_verilate_test name)
  cmake_parse_arguments(ARG "" "TOP" "SOURCES;LIBS;LABELS;PARAMETERS;PACKAGES;FLAGS" ${ARGN})
  saline_verilate(${name}_model TOP ${ARG_TOP} PARAMETERS ${ARG_PARAMETERS}
                  PACKAGES ${ARG_PACKAGES} FLAGS ${ARG_FLAGS})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE saline_options GTest::gtest_main GTest::gmock ${name}_model
                                        ${ARG_LIBS})
  gtest_discover_tests(${name} TEST_PREFIX ${name}. WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                       DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "rtl;${ARG_LABELS}")
endfunction()
