/* SPDX-License-Identifier: Apache-2.0 */
/* Straight at Postgres: prepared statements in a pipeline. What fails ends the program. */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include "mesh/db.h"

#define RAW_MAX_PARAMS 9

struct pg_conn; /* a connection of libpq, which only raw.c includes */

struct pg_conn *raw_connect(const char *connection_string);
void raw_close(struct pg_conn *connection);
/* Before the pipeline. */
void raw_exec(struct pg_conn *connection, const char *text);
/* A letter per parameter: uuid, bytea, int8 (n), or inferred (t). Before the pipeline. */
void raw_prepare(struct pg_conn *connection, const struct mesh_sql *sql, const char *types);
void raw_begin_pipeline(struct pg_conn *connection);
void raw_send(struct pg_conn *connection, const struct mesh_sql *sql, const char *const *params,
              int n);
/* The answers to what was sent so far can be read: the transaction goes on, or is committed. */
void raw_flush(struct pg_conn *connection);
void raw_sync(struct pg_conn *connection);

#define RAW_END (-1)    /* of the transaction */
#define RAW_LOCKED (-2) /* the statement has waited in vain for a lock, or an earlier one has */
/* Of the next statement: how many rows it has given or changed. */
int raw_read(struct pg_conn *connection);

#endif
