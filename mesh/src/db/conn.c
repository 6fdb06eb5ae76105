/* SPDX-License-Identifier: Apache-2.0 */
#include "db/conn.h"

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "mesh/log.h"

#include <stdlib.h>

/* A statement that takes longer is logged with its call and its process on the server. */
#define SLOW_NS MESH_NS_PER_S
/* Memory for larger values is not kept. */
#define ARGS_KEPT_BYTES 16384

struct pg_until mesh__until(const struct mesh_ctx *ctx)
{
    return (struct pg_until){.deadline_ns = ctx->deadline_ns, .cancelled = ctx->cancelled};
}

struct pg_until mesh__until_ms(int64_t ms)
{
    return (struct pg_until){.deadline_ns = mesh__in_ms(ms)};
}

void mesh__conn_close(struct db_conn *conn)
{
    mesh__pg->close(conn->pg);
    conn->pg = NULL;
    conn->ready = false;
    conn->first_op = 0;
    conn->n_ops = 0;
    conn->n_held = 0;
    mesh__statements_done(&conn->statements);
}

void mesh__conn_done(struct db_conn *conn)
{
    mesh__conn_close(conn);
    for (size_t i = 0; i < CONN_HELD; i++) {
        mesh__args_done(&conn->held[i].args);
    }
    free(conn->ops);
    conn->ops = NULL;
    conn->max_ops = 0;
}

void mesh__conn_begin(struct db_conn *conn)
{
    conn->tx = (struct mesh_tx){0};
    conn->error = (struct db_error){0};
    conn->sent = false;
    conn->writes = false;
    conn->in_doubt = false;
    conn->committed = false;
}

void mesh__conn_lost(struct db_conn *conn)
{
    if (conn->error.status == MESH_OK) {
        mesh__db_error_set(&conn->error, MESH_UNAVAILABLE,
                           "the connection to the database was lost");
    }
    conn->error.drop = true;
}

/* ---- sending ---- */

static void push(struct db_conn *conn, struct op op)
{
    if (conn->n_ops == conn->max_ops) {
        conn->max_ops = conn->max_ops == 0 ? 16 : 2 * conn->max_ops;
        conn->ops = mesh__reallocarray(conn->ops, conn->max_ops, sizeof(*conn->ops));
    }
    conn->ops[conn->n_ops++] = op;
}

static bool queued(struct db_conn *conn, bool accepted, struct op op)
{
    if (!accepted) {
        mesh__conn_lost(conn);
        return false;
    }
    push(conn, op);
    return true;
}

static bool prepare(struct db_conn *conn, struct statement *statement, const struct held *held)
{
    struct op op = {.kind = OP_PREPARE, .name = held->sql.name, .statement = statement};

    if (!queued(conn,
                mesh__pg->prepare(conn->pg, statement->name, held->sql.text, &held->args.params),
                op)) {
        return false;
    }
    statement->state = STATEMENT_PENDING;
    return true;
}

static bool send_one(struct db_conn *conn, const struct held *held)
{
    const struct pg_params *params = &held->args.params;
    struct statement *statement = mesh__statements_find(&conn->statements, &held->sql, params);
    struct op op = {.kind = held->kind,
                    .name = held->sql.name,
                    .wanted = held->wanted,
                    .has_values = params->n > 0};

    conn->writes = conn->writes || (held->kind != OP_COMMIT && !statement->only_reads);
    if (!conn->options->named) {
        return queued(conn, mesh__pg->query(conn->pg, held->sql.text, params), op);
    }
    op.statement = statement;
    op.was_ready = statement->state == STATEMENT_READY;
    if (statement->state == STATEMENT_ABSENT && !prepare(conn, statement, held)) {
        return false;
    }
    return queued(conn, mesh__pg->execute(conn->pg, statement->name, params), op);
}

static bool send_held(struct db_conn *conn)
{
    bool fine = true;

    for (size_t i = 0; i < conn->n_held; i++) {
        struct held *held = &conn->held[i];

        fine = fine && send_one(conn, held);
        conn->sent = true;
        if (held->args.bytes_max > ARGS_KEPT_BYTES) {
            mesh__args_done(&held->args);
        }
    }
    conn->n_held = 0;
    return fine;
}

bool mesh__conn_send(struct db_conn *conn, enum op_kind kind, const struct mesh_sql *sql,
                     struct mesh_args args, bool wanted)
{
    struct held *held = &conn->held[conn->n_held];
    const char *problem;

    held->kind = kind;
    held->sql = *sql;
    held->wanted = wanted;
    if (mesh__args_encode(&held->args, args, &problem) != MESH_OK) {
        mesh__db_error_set(&conn->error, MESH_INTERNAL, "%s: %s", sql->name, problem);
        return false;
    }
    return ++conn->n_held < CONN_HELD || send_held(conn);
}

void mesh__conn_forget(struct db_conn *conn)
{
    conn->n_held = 0;
}

bool mesh__conn_script(struct db_conn *conn, const char *name, const char *text)
{
    return queued(conn, mesh__pg->script(conn->pg, text),
                  (struct op){.kind = OP_EXECUTE, .name = name});
}

bool mesh__conn_flush(struct db_conn *conn)
{
    if (!send_held(conn)) {
        return false;
    }
    if (!mesh__pg->flush(conn->pg)) {
        mesh__conn_lost(conn);
        return false;
    }
    return true;
}

bool mesh__conn_sync(struct db_conn *conn)
{
    return send_held(conn) &&
           queued(conn, mesh__pg->sync(conn->pg), (struct op){.kind = OP_SYNC, .name = "commit"});
}

/* ---- receiving ---- */

static void pop(struct db_conn *conn)
{
    if (++conn->first_op == conn->n_ops) {
        conn->first_op = 0;
        conn->n_ops = 0;
    }
}

/* False, once: the rows are more than ctx may hold. After a failure nobody wants them. */
static bool on_rows(struct mesh_ctx *ctx, struct db_conn *conn, const struct op *op,
                    struct mesh_rows *rows, const struct pg_result *result)
{
    if (!op->wanted || rows == NULL || conn->error.status != MESH_OK ||
        mesh__rows_add(ctx, rows, result)) {
        return true;
    }
    mesh__db_error_set(&conn->error, MESH_RESOURCE_EXHAUSTED,
                       "the answer of the database is too large");
    return false;
}

static void on_done(struct db_conn *conn, const struct op *op, struct mesh_rows *rows,
                    const struct pg_result *result)
{
    if (op->kind == OP_PREPARE) {
        op->statement->state = STATEMENT_READY;
    } else if (op->kind == OP_COMMIT) {
        conn->committed = true;
    } else if (op->wanted && rows != NULL) {
        mesh__rows_end(rows, result);
    }
    pop(conn);
}

static void on_not_run(struct db_conn *conn, const struct op *op)
{
    if (op->kind == OP_PREPARE) {
        op->statement->state = STATEMENT_ABSENT;
    }
    if (op->kind != OP_SYNC) { /* a failed commit is still followed by the end of the pipeline */
        pop(conn);
    }
}

static void on_error(struct db_conn *conn, const struct op *op, const struct pg_result *result)
{
    struct pg_error pg;

    mesh__pg->error(result, &pg);
    if (conn->error.status == MESH_OK) {
        mesh__db_error_sql(&conn->error,
                           (struct db_error_source){op->name, op->was_ready, op->has_values}, &pg);
        conn->in_doubt = pg.fatal && (op->kind == OP_SYNC || op->kind == OP_COMMIT);
    }
    conn->error.drop = conn->error.drop || pg.fatal;
    on_not_run(conn, op);
}

static enum pg_wait on_synced(struct db_conn *conn, const struct op *op)
{
    if (op->kind != OP_SYNC) { /* we and the server do not count alike */
        return PG_LOST;
    }
    conn->committed = conn->committed || conn->error.status == MESH_OK;
    pop(conn);
    return PG_READY;
}

static enum pg_wait on_result(struct mesh_ctx *ctx, struct db_conn *conn, struct mesh_rows *rows,
                              const struct pg_result *result)
{
    struct op op = conn->ops[conn->first_op];

    switch (mesh__pg->kind(result)) {
    case PG_ROW:
        return on_rows(ctx, conn, &op, rows, result) ? PG_READY : PG_CANCELLED;
    case PG_DONE:
        if (!on_rows(ctx, conn, &op, rows, result)) {
            pop(conn);
            return PG_CANCELLED;
        }
        on_done(conn, &op, rows, result);
        break;
    case PG_ERROR:
        on_error(conn, &op, result);
        break;
    case PG_SKIPPED:
        on_not_run(conn, &op);
        break;
    case PG_SYNCED:
        return on_synced(conn, &op);
    }
    return PG_READY;
}

/* What leads an operator from pg_stat_activity to the call, and back. */
static void log_slow(struct mesh_ctx *ctx, const struct db_conn *conn)
{
    mesh_log(MESH_LOG_WARN,
             MESH_LOG_FIELDS(mesh_log_text("statement", conn->ops[conn->first_op].name),
                             mesh_log_int("backend_pid", mesh__pg->backend_pid(conn->pg)),
                             mesh_log_text("trace_id", mesh_ctx_trace_id(ctx)),
                             mesh_log_text("correlation_id", mesh_ctx_correlation_id(ctx))),
             "a statement has been running for a second");
}

/* As the seam's receive, but tells of a statement that takes long. */
static enum pg_wait receive(struct mesh_ctx *ctx, struct db_conn *conn, struct pg_until until,
                            struct pg_result **ret_result)
{
    struct pg_until slow = until;
    enum pg_wait wait;

    if (ctx == NULL) {
        return mesh__pg->receive(conn->pg, until, ret_result);
    }
    slow.deadline_ns = mesh__now_ns() + SLOW_NS;
    if (slow.deadline_ns >= until.deadline_ns) {
        return mesh__pg->receive(conn->pg, until, ret_result);
    }
    wait = mesh__pg->receive(conn->pg, slow, ret_result);
    if (wait != PG_TIMEOUT) {
        return wait;
    }
    log_slow(ctx, conn);
    return mesh__pg->receive(conn->pg, until, ret_result);
}

enum pg_wait mesh__conn_receive(struct mesh_ctx *ctx, struct db_conn *conn, struct pg_until until,
                                struct mesh_rows *rows)
{
    while (conn->n_ops > 0) {
        struct pg_result *result;
        enum pg_wait wait = receive(ctx, conn, until, &result);

        if (wait != PG_READY) {
            return wait;
        }
        wait = on_result(ctx, conn, rows, result);
        mesh__pg->result_free(result);
        if (wait != PG_READY) {
            return wait;
        }
    }
    return PG_READY;
}

/* ---- beside the pool ---- */

static void stop(struct db_conn *conn, enum pg_wait wait)
{
    if (wait == PG_LOST) {
        mesh__conn_lost(conn);
        return;
    }
    mesh__pg->cancel(conn->pg); /* the server would go on without us */
    (void)mesh__conn_receive(NULL, conn, mesh__until_ms(CONN_DRAIN_MS), NULL);
    mesh__db_error_set(&conn->error, wait == PG_CANCELLED ? MESH_CANCELLED : MESH_DEADLINE_EXCEEDED,
                       "it was not finished in time");
}

static enum mesh_status answered(struct mesh_ctx *ctx, struct db_conn *conn, struct mesh_rows *rows)
{
    enum pg_wait wait = mesh__conn_receive(ctx, conn, mesh__until(ctx), rows);

    if (wait != PG_READY) {
        stop(conn, wait);
    }
    return conn->error.status;
}

enum mesh_status mesh__conn_run(struct mesh_ctx *ctx, struct db_conn *conn,
                                const struct mesh_sql *sql, struct mesh_args args,
                                struct mesh_rows *rows)
{
    mesh__conn_begin(conn);
    if (!mesh__conn_send(conn, OP_EXECUTE, sql, args, rows != NULL) || !mesh__conn_sync(conn)) {
        return conn->error.status;
    }
    return answered(ctx, conn, rows);
}

enum mesh_status mesh__conn_run_script(struct mesh_ctx *ctx, struct db_conn *conn, const char *name,
                                       const char *text)
{
    mesh__conn_begin(conn);
    if (!mesh__conn_script(conn, name, text)) {
        return conn->error.status;
    }
    return answered(ctx, conn, NULL);
}
