/* SPDX-License-Identifier: Apache-2.0 */
/* Postgres for services: short transactions, pipelined statements from files, typed values. */
#ifndef MESH_DB_H
#define MESH_DB_H

#include "mesh/ctx.h"

/* A pool of connections to the service's own schema, shared by all threads. */
struct mesh_db;
/* One transaction on one connection; used by one thread. */
struct mesh_tx;
/* The rows of one statement; live as long as the context they were read with. */
struct mesh_rows;

/* One statement, embedded from sql/<name>.sql at build time and prepared at first use. */
struct mesh_sql {
    const char *name;
    const char *text;
};

enum mesh_arg_kind {
    MESH_ARG_NULL,
    MESH_ARG_TEXT,
    MESH_ARG_UUID,
    MESH_ARG_INT64,
    MESH_ARG_BOOL,
    MESH_ARG_BYTES,
    MESH_ARG_TIME,
    MESH_ARG_UUID_ARRAY,
    MESH_ARG_INT64_ARRAY,
    MESH_ARG_TEXT_ARRAY
};

/* A value for $1, $2, ... What it points to is borrowed until the statement's call returns. */
struct mesh_arg {
    enum mesh_arg_kind kind;
    const void *data; /* text, uuid text, bytes, or array */
    size_t size;      /* of bytes, or number of elements */
    int64_t number;   /* int64, bool, or microseconds since 1970-01-01 UTC */
};

/* Text of any type that Postgres can infer from the statement; NULL text is SQL null. */
struct mesh_arg mesh_text(const char *text);
/* The 36 characters of a UUID; NULL is SQL null. */
struct mesh_arg mesh_uuid(const char *uuid);
struct mesh_arg mesh_int64(int64_t number);
struct mesh_arg mesh_bool(bool value);
struct mesh_arg mesh_bytes(const void *bytes, size_t size);
/* A timestamptz, in microseconds since the Unix epoch. */
struct mesh_arg mesh_time(int64_t unix_us);
struct mesh_arg mesh_null(void);
struct mesh_arg mesh_uuid_array(const char *const *uuids, size_t n);
struct mesh_arg mesh_int64_array(const int64_t *numbers, size_t n);
/* No text may be NULL. */
struct mesh_arg mesh_text_array(const char *const *texts, size_t n);

struct mesh_args {
    const struct mesh_arg *values;
    size_t n;
};
/* MESH_ARGS(mesh_text(id), mesh_int64(quantity)); MESH_NO_ARGS where a statement has none. */
#define MESH_ARGS(...)                                                                             \
    ((struct mesh_args){(const struct mesh_arg[]){__VA_ARGS__},                                    \
                        sizeof((const struct mesh_arg[]){__VA_ARGS__}) / sizeof(struct mesh_arg)})
#define MESH_NO_ARGS ((struct mesh_args){0, 0})

/*
 * Failures of every call below, besides their texts in ctx. Unless it says otherwise, nothing
 * happened.
 * - MESH_ALREADY_EXISTS: unique violation (mesh_ctx_constraint tells which).
 * - MESH_ABORTED: serialization failure, deadlock, lock timeout.
 * - MESH_DEADLINE_EXCEEDED: the deadline passed, also while waiting for a connection; a statement
 *   that ran was cancelled.
 * - MESH_CANCELLED: the call was cancelled; a statement that ran was cancelled too.
 * - MESH_UNAVAILABLE: no connection, connection lost, server stopping, disk or memory full, tables
 *   changed under a prepared statement; carries a RetryInfo.
 * - MESH_UNKNOWN: the connection was lost while COMMIT was on its way: perhaps it happened. Where
 *   every statement only reads (a select without functions that the runtime does not know) it is
 *   MESH_UNAVAILABLE instead.
 * - MESH_OUT_OF_RANGE: a number or a time beyond its column's type.
 * - MESH_RESOURCE_EXHAUSTED: the rows are more than ctx may hold. A lone statement of
 *   mesh_db_query() that also writes may have written.
 * - MESH_INTERNAL: any other error of SQL: a bug.
 */

/*
 * Takes a connection from the pool (waiting at most until ctx's deadline) for one READ COMMITTED
 * transaction. The first statement opens it; nothing is sent before. SQL that asks for a
 * transaction block (savepoint, lock table, set local, declare) has no place in it.
 */
MESH_STATUS mesh_tx_begin(struct mesh_ctx *ctx, struct mesh_db *db, struct mesh_tx **ret_tx);
/*
 * Queues a statement whose rows do not matter. It travels with the next query or the commit, which
 * also reports its failure; after a failure everything else in the transaction fails too. When tx
 * is left before, it does not run, unless it was one of many.
 */
MESH_STATUS mesh_tx_exec(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct mesh_sql *sql,
                         struct mesh_args args);
/* Runs a statement (after those queued) and waits for its rows. */
MESH_STATUS mesh_tx_query(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct mesh_sql *sql,
                          struct mesh_args args, struct mesh_rows **ret_rows);
/*
 * Sends what is queued, commits and gives the connection back: mesh_tx_commit(ctx, &tx). tx is over
 * and set to NULL, whatever the result.
 */
MESH_STATUS mesh_tx_commit(struct mesh_ctx *ctx, struct mesh_tx **tx);

/*
 * Calls hook(arg) on this thread as soon as tx has committed, or may have (MESH_UNKNOWN); never
 * after a rollback. The same pair again is one call. At most MESH_TX_HOOKS of them; more is a bug.
 */
#define MESH_TX_HOOKS 8
void mesh_tx_after_commit(struct mesh_tx *tx, void (*hook)(void *arg), void *arg);

/*
 * Work that a transaction does last. mesh_tx_commit() calls run(ctx, tx, arg, items, n) once, with
 * the items of all who asked for it, in the order of asking, and its own ctx. So what each event of
 * a batch changes on the same rows is one statement, in one order of rows, and no lock on them is
 * held while the rest of the batch runs. If run fails nothing is committed, and its failure is that
 * of the commit.
 */
struct mesh_tx_work {
    enum mesh_status (*run)(struct mesh_ctx *ctx, struct mesh_tx *tx, void *arg, const void *items,
                            size_t n);
    size_t item_size;
};
/*
 * The item is copied and lives as long as tx. Work is the same if both its address and arg are; at
 * most MESH_TX_HOOKS different ones, done in the order in which they were first asked for. More, or
 * a call from within run, is a bug.
 */
void mesh_tx_before_commit(struct mesh_tx *tx, const struct mesh_tx_work *work, void *arg,
                           const void *item);

/* One statement that is its own transaction: a single round trip. ret_rows may be NULL. */
MESH_STATUS mesh_db_query(struct mesh_ctx *ctx, struct mesh_db *db, const struct mesh_sql *sql,
                          struct mesh_args args, struct mesh_rows **ret_rows);

/* Number of rows returned, or changed by a statement that returns none. */
int64_t mesh_rows_count(const struct mesh_rows *rows);
/*
 * Columns by position, from 0. Asking for a type that the column does not have is a bug and ends
 * the process with a message. Strings live as long as the rows. SQL null reads as NULL, 0 or false.
 */
bool mesh_row_is_null(const struct mesh_rows *rows, int64_t row, int column);
const char *mesh_row_text(const struct mesh_rows *rows, int64_t row,
                          int column); /* text, varchar, name, enum */
const char *mesh_row_uuid(const struct mesh_rows *rows, int64_t row,
                          int column); /* 36 characters */
int64_t mesh_row_int64(const struct mesh_rows *rows, int64_t row,
                       int column); /* int2, int4, int8 */
bool mesh_row_bool(const struct mesh_rows *rows, int64_t row, int column);
const uint8_t *mesh_row_bytes(const struct mesh_rows *rows, int64_t row, int column,
                              size_t *ret_size);
int64_t mesh_row_time(const struct mesh_rows *rows, int64_t row,
                      int column); /* timestamptz, unix us */

/* The constraint named by the last unique or check violation seen by ctx; "" if none. */
const char *mesh_ctx_constraint(const struct mesh_ctx *ctx);

/* ---- migrations --------------------------------------------------------------------------- */

/* One forward-only step, embedded from migrations/NNNN_verb_noun.sql at build time. */
struct mesh_migration {
    const char *name; /* "0001_create_orders" */
    const char *text; /* one or more statements, run in one transaction */
};

#endif
