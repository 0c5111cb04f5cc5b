# stream_* and the cipher suites.
saline_verilate_test(stream_slice_test TOP stream_slice SOURCES stream_slice_test.cpp)
saline_verilate_test(stream_append_test TOP stream_append SOURCES stream_append_test.cpp)
saline_verilate_test(stream_prepend_test TOP stream_prepend SOURCES stream_prepend_test.cpp)
saline_verilate_test(stream_fifo_test TOP stream_fifo PARAMETERS W=32 DEPTH=4
                     SOURCES stream_fifo_test.cpp)
saline_verilate_test(stream_skid_test TOP stream_skid PARAMETERS W=32
                     SOURCES stream_skid_test.cpp)

pkg_check_modules(REFERENCE_CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
foreach(lanes 1 4)
  saline_verilate_test(suite_gcm_${lanes}_test TOP suite_gcm PARAMETERS LANES=${lanes}
                       SOURCES suite_gcm_test.cpp gcm_reference.cpp
                       LIBS PkgConfig::REFERENCE_CRYPTO)
  target_compile_definitions(suite_gcm_${lanes}_test PRIVATE LANES=${lanes})
endforeach()
