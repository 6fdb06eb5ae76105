# SPDX-License-Identifier: Apache-2.0
# Run by mesh_embed_sql() at build time: writes ${DIR}/${PREFIX}_sql.[ch] from SQL and MIGRATIONS.
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/refuse_transaction_control.cmake)

# file(READ) drops carriage returns and stops at a NUL: refuse both, so that the text is the file's.
function(read_text variable path)
  file(READ ${path} hex HEX)
  string(REGEX MATCHALL ".." bytes "${hex}")
  if("0d" IN_LIST bytes OR "00" IN_LIST bytes)
    message(FATAL_ERROR "${path}: a carriage return or a NUL is in it")
  endif()
  file(READ ${path} text)
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

# A C string literal, one line of it per line of text.
function(c_literal variable text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "?" "\\?" text "${text}") # no trigraphs
  string(REPLACE "\t" "\\t" text "${text}")
  string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
  set(${variable} "\"${text}\"" PARENT_SCOPE)
endfunction()

string(TOUPPER ${PREFIX} guard)
set(header "/* Generated from .sql files. Do not edit. */
#ifndef ${guard}_SQL_H
#define ${guard}_SQL_H

#include \"mesh/db.h\"

")
set(source "/* Generated from .sql files. Do not edit. */
#include \"${PREFIX}_sql.h\"

#include <stddef.h>

")

foreach(path IN LISTS SQL)
  cmake_path(GET path STEM LAST_ONLY stem)
  if(NOT stem MATCHES "^[a-z][a-z0-9_]*$")
    message(FATAL_ERROR "${path}: the name of a statement has the form <verb>_<noun>.sql")
  endif()
  read_text(text ${path})
  while(text MATCHES "^([ \t]*--[^\n]*)?\n")
    string(REGEX REPLACE "^([ \t]*--[^\n]*)?\n" "" text "${text}")
  endwhile()
  if(NOT text MATCHES "[^ \t\r\n]")
    message(FATAL_ERROR "${path}: no statement in it")
  endif()
  c_literal(literal "${text}")
  string(APPEND header "extern const struct mesh_sql ${SYMBOL}${stem};\n")
  string(APPEND source "const struct mesh_sql ${SYMBOL}${stem} = {\n    \"${stem}\",\n    ${literal}};\n\n")
endforeach()

if(MIGRATIONS)
  set(rows)
  set(expected 1)
  list(SORT MIGRATIONS COMPARE FILE_BASENAME)
  foreach(path IN LISTS MIGRATIONS)
    cmake_path(GET path STEM LAST_ONLY stem)
    if(NOT stem MATCHES "^([0-9][0-9][0-9][0-9])_[a-z][a-z0-9_]*$")
      message(FATAL_ERROR "${path}: the name of a migration has the form NNNN_verb_noun.sql")
    endif()
    string(REGEX REPLACE "^0+" "" number ${CMAKE_MATCH_1})
    if(NOT number STREQUAL expected)
      message(FATAL_ERROR "${path}: number ${expected} was expected here")
    endif()
    math(EXPR expected "${expected} + 1")
    read_text(text ${path})
    refuse_transaction_control(${path} "${text}")
    # The licence is not a part of what is applied, nor of its checksum.
    string(REGEX REPLACE "^-- SPDX-License-Identifier: [^\n]*\n" "" text "${text}")
    c_literal(literal "${text}")
    string(APPEND rows "    {\"${stem}\",\n    ${literal}},\n")
  endforeach()
  string(APPEND header "extern const struct mesh_migration ${PREFIX}_migrations[]; /* NULL name at the end */\n")
  string(APPEND source "const struct mesh_migration ${PREFIX}_migrations[] = {\n${rows}    {NULL, NULL}};\n")
endif()

string(APPEND header "\n#endif\n")
file(WRITE ${DIR}/${PREFIX}_sql.h "${header}")
file(WRITE ${DIR}/${PREFIX}_sql.c "${source}")
