# The engine as a whole; tests/bench uses its parts.
saline_verilate(engine_model TOP ipsec_engine)
add_library(engine_parts STATIC EXCLUDE_FROM_ALL engine_bench.cpp esp_model.cpp gcm_reference.cpp)
target_link_libraries(engine_parts PRIVATE saline_options
                                   PUBLIC saline_hw GTest::gtest GTest::gmock engine_model
                                          PkgConfig::REFERENCE_CRYPTO)
add_executable(engine_test engine_test.cpp engine_egress_test.cpp engine_refusal_test.cpp
                           engine_state_test.cpp)
target_link_libraries(engine_test PRIVATE saline_options GTest::gtest_main engine_parts)
gtest_discover_tests(engine_test TEST_PREFIX engine_test. WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                     DISCOVERY_TIMEOUT 60 PROPERTIES LABELS rtl)
