# SPDX-License-Identifier: Apache-2.0
# Run as a test: which migrations are refused when they are embedded, and which are not.
cmake_minimum_required(VERSION 3.25)

function(embed text)
  file(MAKE_DIRECTORY ${DIR})
  file(WRITE ${DIR}/0001_test.sql "${text}")
  execute_process(COMMAND ${CMAKE_COMMAND} -DPREFIX=test -DDIR=${DIR} -DMIGRATIONS=${DIR}/0001_test.sql
                          -P ${SCRIPT}
                  ERROR_VARIABLE said RESULT_VARIABLE code)
  string(REGEX REPLACE "[ \n]+" " " said "${said}") # CMake folds long lines
  set(said "${said}" PARENT_SCOPE)
  set(code ${code} PARENT_SCOPE)
endfunction()

function(refused line word text)
  embed("${text}")
  if(code EQUAL 0)
    message(SEND_ERROR "accepted: ${text}")
  elseif(NOT said MATCHES "0001_test[.]sql:${line}: ${word}: a migration is one transaction")
    message(SEND_ERROR "${text}: ${said}")
  endif()
endfunction()

function(accepted text)
  embed("${text}")
  if(NOT code EQUAL 0)
    message(SEND_ERROR "${text}: ${said}")
  endif()
endfunction()

foreach(word begin commit end rollback abort)
  refused(1 ${word} "${word}")
  refused(3 ${word} "create table a (id int8);\n\n${word};\nselect 1")
endforeach()
refused(1 start "start transaction")
refused(2 savepoint "select 1; -- a comment\nsavepoint s")
refused(2 release "select 1;\nrelease savepoint s")
refused(1 transaction "prepare transaction 'x'")
refused(1 commit "COMMIT")
refused(4 commit "/* one\n;\n*/ select 1;\n  commit  ;")
refused(2 commit "select ';', \"n\", $1, 2 / 3 - 1, '\\';\ncommit")
refused(3 commit "select e'\\';\n';\ncommit")
refused(3 commit "do $$ begin\n null; end $$;\ncommit")
refused(4 commit "create function f() returns int begin atomic\n select 1;\nend;\ncommit")

accepted("-- commit;\ncreate table commit (\"end\" int8, begin text default '; commit;');")
accepted("create function f() returns trigger language plpgsql as $$\nbegin\n  return null;\nend;\n$$")
accepted("create function f() returns int language plpgsql as $a$ begin; commit; $$ end; $a$;")
accepted("create function f() returns int begin atomic select case when true then 1 end; select 2; end;")
accepted("prepare p as select 'transaction'; /* ; commit; */ select 'a''; commit;'")
accepted("select 1; insert into a values (E'\\\\', 'é'); table a;")
