# SPDX-License-Identifier: Apache-2.0
# mesh_protoc_c(<variable> <import dir> <proto>...): C code of plain messages by protobuf-c. The
# generated sources are put into the variable; headers are found below ${CMAKE_BINARY_DIR}/generated.
find_program(PROTOC protoc REQUIRED)
find_program(PROTOC_GEN_C protoc-gen-c REQUIRED)
# Functions are called from other projects, too: these do not depend on who calls.
set(MESH_SOURCE_DIR ${PROJECT_SOURCE_DIR} CACHE INTERNAL "")
set(MESH_GENERATED ${CMAKE_BINARY_DIR}/generated CACHE INTERNAL "")
file(MAKE_DIRECTORY ${MESH_GENERATED})

function(mesh_protoc_c variable import_dir)
  set(sources)
  foreach(proto IN LISTS ARGN)
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(outputs ${MESH_GENERATED}/${stem}.pb-c.c ${MESH_GENERATED}/${stem}.pb-c.h)
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND ${PROTOC} -I${import_dir} -I${MESH_SOURCE_DIR}/proto/third_party -I/usr/include
              --plugin=protoc-gen-c=${MESH_SOURCE_DIR}/cmake/protoc-gen-c-optional
              --c_out=${MESH_GENERATED} ${proto}
      DEPENDS ${import_dir}/${proto} ${MESH_SOURCE_DIR}/cmake/protoc-gen-c-optional
      VERBATIM)
    list(APPEND sources ${outputs})
  endforeach()
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()
