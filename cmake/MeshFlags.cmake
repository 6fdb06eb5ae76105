# SPDX-License-Identifier: Apache-2.0
# Compiler flags for our own code; generated code does not get them.
add_library(mesh_flags INTERFACE)
target_compile_features(mesh_flags INTERFACE c_std_17)
target_compile_options(mesh_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wformat=2 -Wundef -Wvla -Wcast-qual -Wpointer-arith
  -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wimplicit-fallthrough -fno-common -fstack-protector-strong -fno-omit-frame-pointer
  $<$<CONFIG:Release>:-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
target_link_options(mesh_flags INTERFACE $<$<CONFIG:Release>:-Wl,-z,relro,-z,now>)
# The clean-up attribute and a few calls of Linux are GNU extensions.
target_compile_definitions(mesh_flags INTERFACE _GNU_SOURCE)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported()

# Only in CI, so that a newer compiler's new warning never stops a user's build.
option(CMESH_WERROR "Warnings are errors" OFF)
if(CMESH_WERROR)
  target_compile_options(mesh_flags INTERFACE -Werror)
endif()

# Sanitizers must reach every object, generated ones too: -DCMESH_SANITIZE=address,undefined or thread.
set(CMESH_SANITIZE "" CACHE STRING "Sanitizers for all code, as for -fsanitize")
if(CMESH_SANITIZE)
  add_compile_options(-fsanitize=${CMESH_SANITIZE} -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${CMESH_SANITIZE})
endif()
# With clang: every branch reports to libFuzzer.
option(CMESH_FUZZ "Build the fuzz targets with libFuzzer" OFF)
if(CMESH_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
# Line coverage with gcc.
option(CMESH_COVERAGE "Count executed lines" OFF)
if(CMESH_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
