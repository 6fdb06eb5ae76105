/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at a database once, before anything relies on it. */
#include "db/pool.h"
#include "mesh/id.h"

#include <string.h>

/* A pooler could by chance give every transaction of one round the right session. */
#define ROUNDS 8

static const struct mesh_sql ask_pid = {"ask_pid", "select pg_backend_pid()"};
static const struct mesh_sql mark = {"mark", "select set_config('mesh.session', $1, false)"};
static const struct mesh_sql read_mark = {
    "read_mark", "select coalesce(current_setting('mesh.session', true), '')"};
static const struct mesh_sql begin = {"begin", "begin"};
static const struct mesh_sql rollback = {"rollback", "rollback"};

/* For an operator: unlike a call's text it says where and why. */
static MESH_STATUS fail(struct mesh_ctx *ctx, const struct db_error *error)
{
    return mesh_fail(ctx, error->lasts ? MESH_FAILED_PRECONDITION : error->status, "%s%s%s",
                     error->text, error->detail[0] != '\0' ? ": " : "", error->detail);
}

static MESH_STATUS connect(struct mesh_ctx *ctx, struct db_conn *conn)
{
    return mesh__conn_connect(ctx, conn) == MESH_OK ? MESH_OK : fail(ctx, &conn->error);
}

MESH_STATUS mesh__db_check(struct mesh_ctx *ctx, struct mesh_db *db)
{
    struct db_conn conn;
    enum mesh_status status;

    mesh__pool_extra(db, &conn);
    status = connect(ctx, &conn);
    mesh__conn_done(&conn);
    return status;
}

/* ---- sessions ---- */

static MESH_STATUS run(struct mesh_ctx *ctx, struct db_conn *conn, const struct mesh_sql *sql,
                       struct mesh_args args, struct mesh_rows **ret_rows)
{
    *ret_rows = mesh__rows_new(ctx, sql->name);
    if (mesh__conn_run(ctx, conn, sql, args, *ret_rows) != MESH_OK) {
        return fail(ctx, &conn->error);
    }
    return MESH_OK;
}

/* Whether the server's process is the one that it named when the connection was made. */
static MESH_STATUS compare_pids(struct mesh_ctx *ctx, struct db_conn *conn, bool *ret_same)
{
    struct mesh_rows *rows;

    MESH_TRY(run(ctx, conn, &ask_pid, MESH_NO_ARGS, &rows));
    *ret_same = mesh_row_int64(rows, 0, 0) == mesh__pg->backend_pid(conn->pg);
    return MESH_OK;
}

static MESH_STATUS compare_mark(struct mesh_ctx *ctx, struct db_conn *conn, const char *expected,
                                bool *ret_same)
{
    struct mesh_rows *rows;

    MESH_TRY(run(ctx, conn, &read_mark, MESH_NO_ARGS, &rows));
    *ret_same = strcmp(mesh_row_text(rows, 0, 0), expected) == 0;
    return MESH_OK;
}

/*
 * Marks the session of one connection between two transactions, while the other one takes up a
 * session of its own: the mark must be seen by the first and not by the second.
 */
static MESH_STATUS mark_session(struct mesh_ctx *ctx, struct db_conn *one, struct db_conn *other,
                                bool *ret_lasts)
{
    const char *text = mesh_new_id(ctx);
    struct mesh_rows *rows;
    bool own, foreign;

    MESH_TRY(run(ctx, one, &mark, MESH_ARGS(mesh_text(text)), &rows));
    MESH_TRY(run(ctx, other, &begin, MESH_NO_ARGS, &rows));
    MESH_TRY(compare_mark(ctx, other, text, &foreign));
    if (foreign) { /* and the first one may have to wait for the second */
        *ret_lasts = false;
        return MESH_OK;
    }
    MESH_TRY(compare_mark(ctx, one, text, &own));
    MESH_TRY(run(ctx, other, &rollback, MESH_NO_ARGS, &rows));
    *ret_lasts = own;
    return MESH_OK;
}

static MESH_STATUS check_session(struct mesh_ctx *ctx, struct mesh_db *db, struct db_conn *one,
                                 struct db_conn *other)
{
    bool lasts;

    MESH_TRY(connect(ctx, one));
    MESH_TRY(compare_pids(ctx, one, &lasts));
    if (lasts) { /* nothing is in between */
        return MESH_OK;
    }
    MESH_TRY(connect(ctx, other));
    for (int i = 0; i < ROUNDS; i++) {
        MESH_TRY(mark_session(ctx, one, other, &lasts));
        if (!lasts) {
            return mesh_fail(ctx, MESH_FAILED_PRECONDITION,
                             "a pooler gives each transaction another session, but events and "
                             "migrations need one that lasts");
        }
    }
    return mesh__db_check(ctx, db); /* it keeps sessions, but may not take our settings */
}

MESH_STATUS mesh__db_check_session(struct mesh_ctx *ctx, struct mesh_db *db)
{
    struct mesh_db_options options;
    struct db_conn one, other;
    enum mesh_status status;

    mesh__pool_extra(db, &one);
    options = *one.options;
    options.named = false; /* what a pooler takes in any case */
    one.options = &options;
    mesh__pool_extra(db, &other);
    other.options = &options;
    status = check_session(ctx, db, &one, &other);
    mesh__conn_done(&one);
    mesh__conn_done(&other);
    return status;
}
