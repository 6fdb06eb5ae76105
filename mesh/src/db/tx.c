/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions: statements are pipelined, and the pipeline is the transaction, which its end
 * commits. So one statement costs one round trip, and a query with a commit two.
 */
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "db/pool.h"
#include "mesh/cleanup.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NAME_CHARS 63 /* Postgres cuts what is longer */
#define TRACE_ID_CHARS 32

static const struct mesh_sql begin_sql = {"begin", "begin"};
static const struct mesh_sql commit_sql = {"commit", "commit"};
static const struct mesh_sql rollback_sql = {"rollback", "rollback"};
static const struct mesh_sql trace_sql = {"set_trace",
                                          "select set_config('application_name', $1, true)"};

static struct db_conn *conn_of(struct mesh_tx *tx)
{
    return (struct db_conn *)tx; /* its first member */
}

static bool is_explicit(const struct mesh_tx *tx)
{
    return tx->begin.text != NULL;
}

static bool send_plain(struct db_conn *conn, const struct mesh_sql *sql)
{
    return mesh__conn_send(conn, OP_EXECUTE, sql, MESH_NO_ARGS, false);
}

static MESH_STATUS fail(struct mesh_ctx *ctx, const struct db_conn *conn)
{
    return mesh__db_error_fail(ctx, &conn->error);
}

/* ---- ending ---- */

static bool queue_rollback(struct db_conn *conn)
{
    if (is_explicit(&conn->tx)) {
        /* The transaction outlives the end of a pipeline, and so does its failure. */
        return mesh__conn_sync(conn) && send_plain(conn, &rollback_sql) && mesh__conn_sync(conn);
    }
    /* A lone rollback would do it too, but with a warning in the server's log. If a statement has
     * failed already, both are skipped. */
    return send_plain(conn, &begin_sql) && send_plain(conn, &rollback_sql) && mesh__conn_sync(conn);
}

static bool cancel_is_settled(struct db_conn *conn)
{
    return mesh__pg->cancel_wait(conn->pg, mesh__until_ms(CONN_DRAIN_MS).deadline_ns);
}

/*
 * Waits for what is under way. If that takes too long the server is made to stop, so that its locks
 * do not outlive the connection, which is of no use any more: false.
 */
static bool drain(struct db_conn *conn)
{
    enum pg_wait wait = mesh__conn_receive(NULL, conn, mesh__until_ms(CONN_DRAIN_MS), NULL);

    if (wait == PG_TIMEOUT) {
        mesh__pg->cancel(conn->pg);
        (void)cancel_is_settled(conn);
        (void)mesh__conn_receive(NULL, conn, mesh__until_ms(CONN_DRAIN_MS), NULL);
    }
    return wait == PG_READY;
}

/* Undoes what the server has done so far. conn->error stays as it is. */
static void roll_back(struct db_conn *conn)
{
    struct db_error error = conn->error;
    bool done = true;

    if (!conn->tx.started || conn->tx.over) {
        return;
    }
    mesh__conn_forget(conn);
    if (conn->sent) {
        done = !error.drop && queue_rollback(conn) && drain(conn);
    }
    error.drop = error.drop || conn->error.drop || !done;
    conn->error = error;
    conn->tx.over = true;
}

static void set_out_of_time(struct db_error *error, enum pg_wait wait)
{
    if (wait == PG_CANCELLED) {
        mesh__db_error_set(error, MESH_CANCELLED, "the call was cancelled");
    } else {
        mesh__db_error_set(error, MESH_DEADLINE_EXCEEDED,
                           "the deadline passed while the database was at work");
    }
}

/*
 * A request to cancel that is still on its way could hit the next statement, whoever sends it. A
 * pooler passes it on when it likes.
 */
static void drop_unless(struct db_conn *conn, bool settled)
{
    if (!settled || !conn->options->named) {
        conn->error.drop = true;
    }
}

/* The call's time is over while statements run: stops them, and only then undoes them. */
static void abandon(struct db_conn *conn, enum pg_wait wait)
{
    bool settled;

    if (conn->error.status == MESH_OK) {
        set_out_of_time(&conn->error, wait);
    }
    mesh__pg->cancel(conn->pg);
    settled = cancel_is_settled(conn);
    if (settled) {
        roll_back(conn);
    }
    drop_unless(conn, settled);
}

static MESH_STATUS wait_for_answers(struct mesh_ctx *ctx, struct db_conn *conn,
                                    struct mesh_rows *rows)
{
    enum pg_wait wait = mesh__conn_receive(ctx, conn, mesh__until(ctx), rows);

    if (wait == PG_LOST) {
        mesh__conn_lost(conn);
    } else if (wait != PG_READY) {
        abandon(conn, wait);
    }
    return conn->error.status != MESH_OK ? fail(ctx, conn) : MESH_OK;
}

/* ---- the life of a transaction ---- */

/* Every call begins with it: MESH_OK if there is a transaction to go on with and time left. */
static MESH_STATUS go_on(struct mesh_ctx *ctx, struct db_conn *conn)
{
    if (conn->error.status != MESH_OK) {
        return fail(ctx, conn);
    }
    if (mesh_ctx_cancelled(ctx)) {
        set_out_of_time(&conn->error, PG_CANCELLED);
        return fail(ctx, conn);
    }
    if (mesh_ctx_remaining_ms(ctx) == 0) {
        set_out_of_time(&conn->error, PG_TIMEOUT);
        return fail(ctx, conn);
    }
    return MESH_OK;
}

static bool send_trace(struct mesh_ctx *ctx, struct db_conn *conn)
{
    const char *service = conn->options->application_name;
    const char *end = service + strlen(service);
    const char *tag = strrchr(service, ' '); /* by which other replicas know our sessions */
    const char *name;
    ptrdiff_t room;

    tag = tag != NULL ? tag : end;
    room = NAME_CHARS - (end - tag) - 1 - TRACE_ID_CHARS;
    name = mesh_printf(ctx, "%.*s%s %s", (int)(room < tag - service ? room : tag - service),
                       service, tag, mesh_ctx_trace_id(ctx));

    return mesh__conn_send(conn, OP_EXECUTE, &trace_sql, MESH_ARGS(mesh_text(name)), false);
}

/* What comes before the first statement travels with it. */
static bool start(struct mesh_ctx *ctx, struct db_conn *conn)
{
    if (conn->tx.started) {
        return true;
    }
    conn->tx.started = true;
    if (is_explicit(&conn->tx) && !send_plain(conn, &conn->tx.begin)) {
        return false;
    }
    return !conn->options->trace_application_name || send_trace(ctx, conn);
}

static MESH_STATUS queue(struct mesh_ctx *ctx, struct db_conn *conn, const struct mesh_sql *sql,
                         struct mesh_args args, bool wanted)
{
    MESH_TRY(go_on(ctx, conn));
    if (!start(ctx, conn) || !mesh__conn_send(conn, OP_EXECUTE, sql, args, wanted)) {
        return fail(ctx, conn);
    }
    mesh__pool_count_query(conn->db);
    return MESH_OK;
}

MESH_STATUS mesh__tx_begin_as(struct mesh_ctx *ctx, struct mesh_db *db, const char *begin,
                              struct mesh_tx **ret_tx)
{
    struct db_conn *conn;

    MESH_TRY(mesh__pool_take(ctx, db, &conn));
    conn->tx.begin = (struct mesh_sql){"begin", begin};
    *ret_tx = &conn->tx;
    return MESH_OK;
}

MESH_STATUS mesh_tx_begin(struct mesh_ctx *ctx, struct mesh_db *db, struct mesh_tx **ret_tx)
{
    return mesh__tx_begin_as(ctx, db, NULL, ret_tx);
}

uint64_t mesh__tx_connection(struct mesh_tx *tx)
{
    return conn_of(tx)->number;
}

void mesh_tx_after_commit(struct mesh_tx *tx, void (*hook)(void *arg), void *arg)
{
    for (size_t i = 0; i < tx->n_hooks; i++) {
        if (tx->hooks[i].call == hook && tx->hooks[i].arg == arg) {
            return;
        }
    }
    if (tx->n_hooks == MESH_TX_HOOKS) {
        mesh__fatal("more than %d hooks of one transaction", MESH_TX_HOOKS);
    }
    tx->hooks[tx->n_hooks++] = (struct tx_hook){hook, arg};
}

static struct tx_work *find_work(struct mesh_tx *tx, const struct mesh_tx_work *work, void *arg)
{
    for (size_t i = 0; i < tx->n_works; i++) {
        if (tx->works[i].work == work && tx->works[i].arg == arg) {
            return &tx->works[i];
        }
    }
    if (tx->n_works == MESH_TX_HOOKS) {
        mesh__fatal("more than %d works of one transaction", MESH_TX_HOOKS);
    }
    tx->works[tx->n_works] = (struct tx_work){.work = work, .arg = arg};
    return &tx->works[tx->n_works++];
}

void mesh_tx_before_commit(struct mesh_tx *tx, const struct mesh_tx_work *work, void *arg,
                           const void *item)
{
    struct tx_work *found = find_work(tx, work, arg);

    assert(!tx->ending);
    if (found->n == found->n_max) {
        found->n_max = 2 * found->n_max + 16;
        found->items = mesh__reallocarray(found->items, found->n_max, work->item_size);
    }
    memcpy(found->items + found->n++ * work->item_size, item, work->item_size);
}

static void forget_works(struct mesh_tx *tx)
{
    for (size_t i = 0; i < tx->n_works; i++) {
        free(tx->works[i].items);
    }
    tx->n_works = 0;
}

void mesh__tx_mark(struct mesh_tx *tx)
{
    struct tx_hook hook = mesh__pool_hook(conn_of(tx)->db);

    if (hook.call != NULL) {
        mesh_tx_after_commit(tx, hook.call, hook.arg);
    }
}

MESH_STATUS mesh_tx_exec(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct mesh_sql *sql,
                         struct mesh_args args)
{
    return queue(ctx, conn_of(tx), sql, args, false);
}

MESH_STATUS mesh_tx_query(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct mesh_sql *sql,
                          struct mesh_args args, struct mesh_rows **ret_rows)
{
    struct db_conn *conn = conn_of(tx);
    struct mesh_rows *rows = mesh__rows_new(ctx, sql->name);

    MESH_TRY(queue(ctx, conn, sql, args, true));
    if (!mesh__conn_flush(conn)) {
        return fail(ctx, conn);
    }
    MESH_TRY(wait_for_answers(ctx, conn, rows));
    *ret_rows = rows;
    return MESH_OK;
}

MESH_STATUS mesh__tx_flush(struct mesh_ctx *ctx, struct mesh_tx *tx)
{
    struct db_conn *conn = conn_of(tx);

    MESH_TRY(go_on(ctx, conn));
    if (conn->n_ops == 0 && conn->n_held == 0) {
        return MESH_OK;
    }
    if (!mesh__conn_flush(conn)) {
        return fail(ctx, conn);
    }
    return wait_for_answers(ctx, conn, NULL);
}

/* ---- committing ---- */

static void set_in_doubt(struct db_conn *conn)
{
    mesh__db_error_set(&conn->error, MESH_UNKNOWN,
                       "the connection to the database was lost during the commit");
    conn->error.drop = true;
}

/* The connection ended after the commit had been sent. */
static void lost_in_commit(struct db_conn *conn)
{
    bool refused = conn->error.status != MESH_OK && !conn->in_doubt; /* by an earlier statement */

    if (conn->committed || refused) {
        conn->error.drop = true;
    } else if (!conn->writes) { /* whether it was committed makes no difference */
        mesh__conn_lost(conn);
    } else {
        set_in_doubt(conn);
    }
}

/*
 * The call's time is over after the commit was sent: stops it if it can still be stopped, and finds
 * out whether it was. If it was not, what it answers counts.
 */
static void stop_commit(struct mesh_ctx *ctx, struct db_conn *conn, enum pg_wait why,
                        struct mesh_rows *rows)
{
    struct pg_until until = mesh__until_ms(CONN_DRAIN_MS);
    enum pg_wait wait;

    mesh__pg->cancel(conn->pg);
    do {
        wait = mesh__conn_receive(ctx, conn, until, rows);
    } while (wait == PG_CANCELLED); /* the rows have become too many */
    if (wait != PG_READY) {
        if (!conn->writes && conn->error.status == MESH_OK) {
            set_out_of_time(&conn->error, why);
        }
        lost_in_commit(conn);
        return;
    }
    if (strcmp(conn->error.sqlstate, "57014") == 0) {
        set_out_of_time(&conn->error, why);
    }
    drop_unless(conn, cancel_is_settled(conn));
}

/* Queues the end of the transaction. False: the connection was lost before that. */
static bool queue_commit(struct db_conn *conn)
{
    if (conn->n_ops == 0 && !mesh__pg->alive(conn->pg)) {
        mesh__conn_lost(conn);
        return false;
    }
    if (is_explicit(&conn->tx) &&
        !mesh__conn_send(conn, OP_COMMIT, &commit_sql, MESH_NO_ARGS, false)) {
        return false;
    }
    return mesh__conn_sync(conn);
}

static void commit(struct mesh_ctx *ctx, struct db_conn *conn, struct pg_until until,
                   struct mesh_rows *rows)
{
    enum pg_wait wait;

    if (!conn->tx.started || !queue_commit(conn)) {
        return;
    }
    wait = mesh__conn_receive(ctx, conn, until, rows);
    if (wait == PG_LOST) {
        lost_in_commit(conn);
    } else if (wait != PG_READY) {
        stop_commit(ctx, conn, wait, rows);
    }
    /* A failed statement ended the pipeline's own transaction, but not one begun in words. */
    conn->tx.over = !is_explicit(&conn->tx) || conn->committed;
}

/* Gives the connection back; the failure, if there was one, goes into ctx. */
static MESH_STATUS finish(struct mesh_ctx *ctx, struct db_conn *conn)
{
    struct mesh_tx tx = conn->tx; /* the connection may be another's as soon as it is given back */
    enum mesh_status status = MESH_OK;

    forget_works(&tx);
    if (conn->error.status != MESH_OK) {
        roll_back(conn);
        status = fail(ctx, conn);
    }
    mesh__pool_give(conn);
    for (size_t i = 0; i < tx.n_hooks && (status == MESH_OK || status == MESH_UNKNOWN); i++) {
        tx.hooks[i].call(tx.hooks[i].arg);
    }
    return status;
}

static MESH_STATUS do_works(struct mesh_ctx *ctx, struct mesh_tx *tx)
{
    tx->ending = true;
    for (size_t i = 0; i < tx->n_works; i++) {
        const struct tx_work *work = &tx->works[i];

        MESH_TRY(work->work->run(ctx, tx, work->arg, work->items, work->n));
    }
    return MESH_OK;
}

MESH_STATUS mesh_tx_commit(struct mesh_ctx *ctx, struct mesh_tx **tx)
{
    struct db_conn *conn = conn_of(*tx);
    struct pg_until until = {.deadline_ns =
                                 ctx->deadline_ns}; /* what is decided is not cancelled */
    enum mesh_status status = MESH_OK;

    if (conn->error.status == MESH_OK && mesh_ctx_remaining_ms(ctx) == 0) {
        set_out_of_time(&conn->error, PG_TIMEOUT);
    }
    if (conn->error.status == MESH_OK) {
        status = do_works(ctx, *tx);
    }
    if (status != MESH_OK) {
        mesh__cleanup_tx(tx);
        *tx = NULL;
        return status;
    }
    *tx = NULL;
    if (conn->error.status == MESH_OK) {
        commit(ctx, conn, until, NULL);
    }
    return finish(ctx, conn);
}

MESH_STATUS mesh_db_query(struct mesh_ctx *ctx, struct mesh_db *db, const struct mesh_sql *sql,
                          struct mesh_args args, struct mesh_rows **ret_rows)
{
    struct mesh_rows *rows = mesh__rows_new(ctx, sql->name);
    struct db_conn *conn;

    MESH_TRY(mesh__pool_take(ctx, db, &conn));
    if (queue(ctx, conn, sql, args, ret_rows != NULL) == MESH_OK) {
        commit(ctx, conn, mesh__until(ctx), rows);
    }
    MESH_TRY(finish(ctx, conn));
    if (ret_rows != NULL) {
        *ret_rows = rows;
    }
    return MESH_OK;
}

void mesh__cleanup_tx(struct mesh_tx **tx)
{
    if (*tx != NULL) {
        struct db_conn *conn = conn_of(*tx);

        forget_works(*tx);
        roll_back(conn);
        mesh__pool_give(conn);
    }
}
