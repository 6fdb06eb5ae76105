# SPDX-License-Identifier: Apache-2.0
# What a contract and a service need.
include(MeshSql)

# mesh_add_protos(<target> IMPORT_DIR <dir> PROTOS <file>... [METHODS_JSON <file>]): a static library
# with everything generated from the protos (paths below IMPORT_DIR): messages by protobuf-c, the
# rest by protoc-gen-mesh. All protos of a system belong into one call. METHODS_JSON, a path below
# ${MESH_GENERATED}, gets the facts about all methods.
function(mesh_add_protos target)
  cmake_parse_arguments(arg "" "IMPORT_DIR;METHODS_JSON" "PROTOS" ${ARGN})
  if(NOT arg_IMPORT_DIR OR NOT arg_PROTOS OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "mesh_add_protos(${target}): needs IMPORT_DIR and PROTOS and nothing else")
  endif()
  set(imports -I${arg_IMPORT_DIR})
  foreach(dir ${MESH_SOURCE_DIR}/proto ${MESH_SOURCE_DIR}/proto/third_party /usr/include)
    if(NOT dir STREQUAL arg_IMPORT_DIR)
      list(APPEND imports -I${dir})
    endif()
  endforeach()
  set(outputs)
  foreach(proto IN LISTS arg_PROTOS)
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    foreach(suffix pb-c.c pb-c.h mesh.c mesh.h)
      list(APPEND outputs ${MESH_GENERATED}/${stem}.${suffix})
    endforeach()
  endforeach()
  set(option)
  if(arg_METHODS_JSON)
    set(option --mesh_opt=methods=${arg_METHODS_JSON})
    list(APPEND outputs ${MESH_GENERATED}/${arg_METHODS_JSON})
  endif()
  list(TRANSFORM arg_PROTOS PREPEND ${arg_IMPORT_DIR}/ OUTPUT_VARIABLE files)
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND ${PROTOC} ${imports}
            --plugin=protoc-gen-c=${MESH_SOURCE_DIR}/cmake/protoc-gen-c-optional
            --plugin=protoc-gen-mesh=$<TARGET_FILE:protoc-gen-mesh>
            --c_out=${MESH_GENERATED} --mesh_out=${MESH_GENERATED} ${option} ${arg_PROTOS}
    DEPENDS ${files} protoc-gen-mesh
            ${MESH_SOURCE_DIR}/cmake/protoc-gen-c-optional
            ${MESH_SOURCE_DIR}/proto/mesh/v1/options.proto
            ${MESH_SOURCE_DIR}/proto/third_party/buf/validate/validate.proto
    COMMENT "Generating ${target}"
    VERBATIM)
  # A target of its own, so that generating need not wait for the runtime to be built.
  add_custom_target(${target}_generated DEPENDS ${outputs})
  add_library(${target} STATIC ${outputs})
  add_dependencies(${target} ${target}_generated)
  target_link_libraries(${target} PUBLIC mesh mesh_wellknown)
  set_target_properties(${target} PROPERTIES C_CLANG_TIDY "")
  foreach(proto IN LISTS arg_PROTOS)
    set_property(GLOBAL PROPERTY mesh_target_of_${proto} ${target})
  endforeach()
endfunction()

# The targets for what PROTO of a service names; what is not generated yet becomes <exe>_proto.
function(mesh_find_protos variable exe import_dir methods_json)
  set(targets)
  set(missing)
  foreach(name IN LISTS ARGN)
    get_property(target GLOBAL PROPERTY mesh_target_of_${name})
    if(NOT name MATCHES "\\.proto$")
      list(APPEND targets ${name})
    elseif(target)
      list(APPEND targets ${target})
    else()
      list(APPEND missing ${name})
    endif()
  endforeach()
  if(missing)
    if(NOT import_dir)
      set(import_dir proto)
    endif()
    cmake_path(ABSOLUTE_PATH import_dir NORMALIZE)
    set(methods)
    if(methods_json)
      set(methods METHODS_JSON ${methods_json})
    endif()
    mesh_add_protos(${exe}_proto IMPORT_DIR ${import_dir} PROTOS ${missing} ${methods})
    list(APPEND targets ${exe}_proto)
  endif()
  list(REMOVE_DUPLICATES targets)
  set(${variable} ${targets} PARENT_SCOPE)
endfunction()

# mesh_add_service(<exe> SOURCES <file>... PROTO <target or file>... [IMPORT_DIR <dir>]
# [METHODS_JSON <file>] [SQL <file>...] [MIGRATIONS <file>...] [PREFIX <name>]): one service, <exe>,
# and <exe>_lib with all of it but main.c, for its tests. PROTO names a target of mesh_add_protos(),
# or contracts (paths below IMPORT_DIR, by default "proto"), which are generated here unless
# something else did. The statements are in the generated header <name>_sql.h; <name> is by default
# what follows the last "-" of <exe>.
function(mesh_add_service exe)
  cmake_parse_arguments(arg "" "PREFIX;IMPORT_DIR;METHODS_JSON" "PROTO;SOURCES;SQL;MIGRATIONS" ${ARGN})
  if(NOT arg_SOURCES OR NOT arg_PROTO OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "mesh_add_service(${exe}): needs SOURCES and PROTO; "
                        "knows IMPORT_DIR, METHODS_JSON, SQL, MIGRATIONS and PREFIX")
  endif()
  if(NOT main.c IN_LIST arg_SOURCES)
    message(FATAL_ERROR "mesh_add_service(${exe}): SOURCES has no main.c")
  endif()
  if(NOT arg_PREFIX)
    string(REGEX REPLACE "^.*-" "" arg_PREFIX ${exe})
  endif()
  list(REMOVE_ITEM arg_SOURCES main.c)
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "mesh_add_service(${exe}): SOURCES has nothing but main.c")
  endif()
  mesh_find_protos(protos ${exe} "${arg_IMPORT_DIR}" "${arg_METHODS_JSON}" ${arg_PROTO})
  add_library(${exe}_lib STATIC ${arg_SOURCES})
  target_include_directories(${exe}_lib PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${exe}_lib PRIVATE mesh_flags PUBLIC ${protos} mesh)
  if(arg_SQL OR arg_MIGRATIONS)
    mesh_embed_sql(${exe}_lib ${arg_PREFIX} SQL ${arg_SQL} MIGRATIONS ${arg_MIGRATIONS})
    # Tests may use the statements, too.
    get_target_property(sql_dir ${exe}_lib mesh_sql_dir)
    target_include_directories(${exe}_lib SYSTEM INTERFACE ${sql_dir})
  endif()
  add_executable(${exe} main.c)
  target_link_libraries(${exe} PRIVATE mesh_flags ${exe}_lib)
endfunction()
