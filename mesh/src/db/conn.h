/* SPDX-License-Identifier: Apache-2.0 */
/* One connection with the statements that are under way on it. Used by one thread at a time. */
#ifndef MESH_DB_CONN_H
#define MESH_DB_CONN_H

#include "db/args.h"
#include "db/db_impl.h"
#include "db/error.h"
#include "db/rows.h"
#include "db/statements.h"

/* How long each step of a clean-up may keep its caller when the server does not answer. */
#define CONN_DRAIN_MS 1000
/* Statements that are kept back until they have to be sent. */
#define CONN_HELD 32

/* What an answer is expected to. */
enum op_kind { OP_PREPARE, OP_EXECUTE, OP_COMMIT, OP_SYNC };

struct op {
    enum op_kind kind;
    const char *name;            /* of the statement */
    struct statement *statement; /* NULL: not prepared by name */
    bool wanted;                 /* its rows are */
    bool was_ready;              /* prepared by an earlier transaction */
    bool has_values;
};

/* A statement that was not sent yet: if its transaction fails before, it never is. */
struct held {
    enum op_kind kind;
    struct mesh_sql sql;
    struct db_args args;
    bool wanted;
};

struct tx_hook {
    void (*call)(void *arg);
    void *arg;
};

/* Before the commit. */
struct tx_work {
    const struct mesh_tx_work *work;
    void *arg;
    uint8_t *items;
    size_t n;
    size_t n_max;
};

struct mesh_tx {
    struct mesh_sql begin;               /* text NULL: the implicit transaction of the pipeline */
    bool started;                        /* something was queued */
    bool over;                           /* rolled back already */
    struct tx_hook hooks[MESH_TX_HOOKS]; /* after the commit */
    size_t n_hooks;
    struct tx_work works[MESH_TX_HOOKS];
    size_t n_works;
    bool ending; /* the works are being done */
};

struct db_conn {
    struct mesh_tx tx; /* first: a transaction's address is its connection's */
    struct mesh_db *db;
    const struct mesh_db_options *options;
    struct db_conn *next; /* in a list of the pool */
    struct pg_conn *pg;   /* NULL: not connected */
    bool ready;           /* connected, and the schema was checked */
    int64_t started_ns;   /* when connecting began */
    uint64_t number;      /* of the connection; no other one of this process has it */

    struct held held[CONN_HELD];
    size_t n_held;
    bool sent;      /* something of this transaction was */
    bool writes;    /* perhaps: something sent may do more than read */
    struct op *ops; /* a queue of those not answered yet: from first_op to n_ops */
    size_t first_op;
    size_t n_ops;
    size_t max_ops;
    struct statements statements;

    struct db_error error; /* the first failure of the transaction */
    bool in_doubt;         /* the connection ended in place of the answer to the commit */
    bool committed;
};

/*
 * Connects and checks the schema. On MESH_DEADLINE_EXCEEDED and MESH_CANCELLED the attempt goes on
 * at the next call. The reason of any failure is in conn->error and not yet in ctx.
 */
enum mesh_status mesh__conn_connect(struct mesh_ctx *ctx, struct db_conn *conn);
/* Closes the connection, if there is one, and forgets what was under way. */
void mesh__conn_close(struct db_conn *conn);
/* Closes and frees what a connection holds; the struct itself is the caller's. */
void mesh__conn_done(struct db_conn *conn);

/* Makes conn ready for a new transaction. */
void mesh__conn_begin(struct db_conn *conn);
/*
 * Each queues; false: conn->error is set. OP_EXECUTE or OP_COMMIT. A statement is kept back until
 * the flush or sync that follows, or until there are too many of them.
 */
bool mesh__conn_send(struct db_conn *conn, enum op_kind kind, const struct mesh_sql *sql,
                     struct mesh_args args, bool wanted);
/* Many statements in one go, as one transaction; while nothing else is under way. */
bool mesh__conn_script(struct db_conn *conn, const char *name, const char *text);
bool mesh__conn_flush(struct db_conn *conn);
bool mesh__conn_sync(struct db_conn *conn);
/* What is kept back is never sent. */
void mesh__conn_forget(struct db_conn *conn);
/*
 * Sends and waits until everything queued is answered. Failures of statements go to conn->error.
 * Rows that are wanted go to rows, in ctx's memory: beyond its cap the answer is PG_CANCELLED, with
 * the error set. ctx may be NULL if no rows are wanted.
 */
enum pg_wait mesh__conn_receive(struct mesh_ctx *ctx, struct db_conn *conn, struct pg_until until,
                                struct mesh_rows *rows);
/*
 * A statement, or a script, as a transaction of its own on a connection beside the pool. What went
 * wrong is in conn->error; then the connection is of no use any more.
 */
enum mesh_status mesh__conn_run(struct mesh_ctx *ctx, struct db_conn *conn,
                                const struct mesh_sql *sql, struct mesh_args args,
                                struct mesh_rows *rows);
enum mesh_status mesh__conn_run_script(struct mesh_ctx *ctx, struct db_conn *conn, const char *name,
                                       const char *text);
/* conn->error becomes "connection lost", unless the server gave a reason. */
void mesh__conn_lost(struct db_conn *conn);

struct pg_until mesh__until(const struct mesh_ctx *ctx);
/* An end of its own, for what must be tidied up whatever the call's deadline. */
struct pg_until mesh__until_ms(int64_t ms);

#endif
