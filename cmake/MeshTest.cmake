# SPDX-License-Identifier: Apache-2.0
# mesh_add_test(<label>.<name> SOURCES ... [LINK ...]): one test program; the label is unit, pg or system.
find_package(PkgConfig REQUIRED)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

function(mesh_add_test label_and_name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  string(REGEX MATCH "^(unit|pg|system)\\." unused ${label_and_name})
  set(label ${CMAKE_MATCH_1})
  if(NOT label)
    message(FATAL_ERROR "mesh_add_test: ${label_and_name} must start with unit., pg. or system.")
  endif()
  string(REPLACE "." "_" target test_${label_and_name})
  add_executable(${target} ${arg_SOURCES})
  target_include_directories(${target} PRIVATE ${MESH_SOURCE_DIR}/tests/support)
  target_link_libraries(${target} PRIVATE mesh_flags mesh_internal PkgConfig::CMOCKA ${arg_LINK})
  set(command $<TARGET_FILE:${target}>)
  if(label STREQUAL pg) # beside a Postgres and a nats-server of its own
    list(PREPEND command ${MESH_SOURCE_DIR}/tests/support/with-servers)
  endif()
  add_test(NAME ${label_and_name} COMMAND ${command})
  set_tests_properties(${label_and_name} PROPERTIES LABELS ${label} TIMEOUT 300 SKIP_RETURN_CODE 77)
endfunction()
