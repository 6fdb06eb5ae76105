/* SPDX-License-Identifier: Apache-2.0 */
/* What tests beside a real Postgres share: a schema and pools on it. */
#ifndef DB_FIXTURE_H
#define DB_FIXTURE_H

#include "db/db_impl.h"

/* For TEST_MAIN: an empty schema of that name, remade with each call. */
void fixture_make_schema(const char *schema);
/* Runs statements as the superuser in that schema; any failure ends the test. */
void fixture_run(const char *schema, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first column of the first row of a query, as text. The next call overwrites it. */
const char *fixture_ask(const char *schema, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Options of a pool on that schema; its strings live until the next call. */
struct mesh_db_options fixture_options(const char *schema, int size);
struct mesh_db *fixture_pool(const char *schema, int size);

/* A context with that much time. */
struct mesh_ctx *fixture_ctx(int64_t timeout_ms);

/* Waits until the query answers "t"; fails the test after 10 s. */
void fixture_wait_until(const char *schema, const char *query);

void fixture_stop_postgres(void);
void fixture_start_postgres(void);

/* A statement in place of an embedded one. */
#define SQL(statement_text) (&(const struct mesh_sql){"test_statement", statement_text})

#endif
