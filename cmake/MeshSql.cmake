# SPDX-License-Identifier: Apache-2.0
# mesh_embed_sql(<target> <prefix> [SYMBOL <symbol prefix>] [SQL <file>...] [MIGRATIONS <file>...])
#
# Embeds SQL files into the target as C, in a generated <prefix>_sql.h and <prefix>_sql.c:
#   SQL         sql/insert_order.sql         becomes  extern const struct mesh_sql sql_insert_order;
#               (SYMBOL, by default sql_, stands before the stem)
#   MIGRATIONS  migrations/0001_verb_noun.sql ...  become  extern const struct mesh_migration
#               <prefix>_migrations[];  in the order of their numbers, with a NULL name at the end
# The text is embedded byte for byte, except that the comment lines a statement begins with and the
# line with the licence that a migration begins with are left out. Numbers of migrations start at 1 and have no gaps.
# A migration with begin, commit and the like in it is refused.
include_guard(GLOBAL)

function(mesh_embed_sql target prefix)
  cmake_parse_arguments(arg "" "SYMBOL" "SQL;MIGRATIONS" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "mesh_embed_sql: unexpected ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_SYMBOL)
    set(arg_SYMBOL sql_)
  endif()
  set(script ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/embed_sql.cmake)

  set(statements)
  foreach(file IN LISTS arg_SQL)
    cmake_path(ABSOLUTE_PATH file NORMALIZE OUTPUT_VARIABLE path)
    list(APPEND statements ${path})
  endforeach()
  set(migrations)
  foreach(file IN LISTS arg_MIGRATIONS)
    cmake_path(ABSOLUTE_PATH file NORMALIZE OUTPUT_VARIABLE path)
    list(APPEND migrations ${path})
  endforeach()

  set(dir ${CMAKE_BINARY_DIR}/generated/sql/${prefix})
  if(NOT target STREQUAL mesh) # prefixes of services repeat from system to system
    set(dir ${CMAKE_BINARY_DIR}/generated/sql/${target})
  endif()
  set(outputs ${dir}/${prefix}_sql.c ${dir}/${prefix}_sql.h)
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND ${CMAKE_COMMAND} "-DPREFIX=${prefix}" "-DSYMBOL=${arg_SYMBOL}" "-DDIR=${dir}"
            "-DSQL=${statements}" "-DMIGRATIONS=${migrations}" -P ${script}
    DEPENDS ${statements} ${migrations} ${script}
            ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/refuse_transaction_control.cmake
    COMMENT "Embedding SQL as ${prefix}_sql.c"
    VERBATIM)
  # The command belongs to this folder, the target may belong to another.
  add_custom_target(${target}_${prefix}_sql DEPENDS ${outputs})
  add_dependencies(${target} ${target}_${prefix}_sql)
  target_sources(${target} PRIVATE ${outputs})
  target_include_directories(${target} SYSTEM PRIVATE ${dir})
  set_target_properties(${target} PROPERTIES mesh_sql_dir ${dir})
endfunction()
