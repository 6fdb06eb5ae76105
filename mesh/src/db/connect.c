/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "db/conn.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* An attempt to connect is given up after so long, over all callers that waited for it. */
#define CONNECT_NS (5 * MESH_NS_PER_S)
/* What no statement may exceed, should its cancellation get lost. A pooler knows no settings. */
#define SETTINGS "-c statement_timeout=30s -c default_transaction_isolation=read\\ committed"

static const struct mesh_sql ask_schema = {
    "ask_schema", "select current_schema(), current_setting('synchronous_commit')"};

static void start(struct db_conn *conn)
{
    static atomic_uint_fast64_t last_number;
    const char *more = conn->options->settings;
    char settings[256];
    struct pg_options options = {
        .url = conn->options->url,
        .application_name = conn->options->application_name,
        .settings = conn->options->named ? settings : NULL,
    };

    (void)snprintf(settings, sizeof(settings), SETTINGS " %s", more != NULL ? more : "");
    conn->pg = mesh__pg->connect(&options);
    conn->started_ns = mesh__now_ns();
    conn->number = atomic_fetch_add(&last_number, 1) + 1;
}

/* Keeps libpq's words, which end with a newline, for the operator. */
static enum mesh_status unreachable(struct db_conn *conn, const char *why, bool lasts)
{
    struct db_error error;

    mesh__db_error_set(&error, MESH_UNAVAILABLE, "the database cannot be reached");
    error.lasts = lasts;
    (void)snprintf(error.detail, sizeof(error.detail), "%.*s", (int)strcspn(why, "\n"), why);
    conn->error = error; /* not before: why may come from it */
    mesh__conn_close(conn);
    return MESH_UNAVAILABLE;
}

static enum mesh_status out_of_time(struct db_conn *conn, enum pg_wait wait)
{
    if (wait == PG_CANCELLED) {
        mesh__db_error_set(&conn->error, MESH_CANCELLED, "the call was cancelled");
    } else {
        mesh__db_error_set(&conn->error, MESH_DEADLINE_EXCEEDED,
                           "the deadline passed while connecting to the database");
    }
    return conn->error.status;
}

static enum mesh_status check_schema(struct mesh_ctx *ctx, struct db_conn *conn)
{
    struct mesh_rows *rows = mesh__rows_new(ctx, ask_schema.name);
    const char *schema;
    enum pg_wait wait;

    mesh__conn_begin(conn);
    if (!mesh__conn_send(conn, OP_EXECUTE, &ask_schema, MESH_NO_ARGS, true) ||
        !mesh__conn_sync(conn)) {
        return unreachable(conn, mesh__pg->last_error(conn->pg), false);
    }
    wait = mesh__conn_receive(ctx, conn, mesh__until(ctx), rows);
    if (wait == PG_TIMEOUT || wait == PG_CANCELLED) {
        mesh__conn_close(conn);
        return out_of_time(conn, wait);
    }
    if (wait == PG_LOST || conn->error.status != MESH_OK) {
        return unreachable(conn,
                           conn->error.status != MESH_OK ? mesh__db_error_why(&conn->error)
                                                         : "the connection was lost",
                           mesh__db_error_lasts(conn->error.sqlstate));
    }
    schema = mesh_row_text(rows, 0, 0);
    if (schema == NULL || strcmp(schema, conn->options->schema) != 0) {
        (void)unreachable(conn, "", true);
        (void)snprintf(conn->error.detail, sizeof(conn->error.detail),
                       "the schema is \"%s\" and not \"%s\": set the search_path of the role",
                       schema != NULL ? schema : "", conn->options->schema);
        return MESH_UNAVAILABLE;
    }
    if (strcmp(mesh_row_text(rows, 0, 1), "off") == 0) {
        /* An event would be out before the change that it tells of is durable. */
        return unreachable(conn, "synchronous_commit is off: a crash would lose what was committed",
                           true);
    }
    return MESH_OK;
}

enum mesh_status mesh__conn_connect(struct mesh_ctx *ctx, struct db_conn *conn)
{
    struct pg_until until = mesh__until(ctx);
    enum mesh_status status;
    int64_t end_ns;
    enum pg_wait wait;

    if (conn->pg != NULL && mesh__now_ns() - conn->started_ns >= CONNECT_NS) {
        mesh__conn_close(conn); /* begun by an earlier caller, long ago */
    }
    if (conn->pg == NULL) {
        start(conn);
    }
    end_ns = conn->started_ns + CONNECT_NS;
    if (until.deadline_ns > end_ns) {
        until.deadline_ns = end_ns;
    }
    wait = mesh__pg->connected(conn->pg, until);
    if (wait == PG_LOST) {
        return unreachable(conn, mesh__pg->last_error(conn->pg),
                           mesh__db_error_lasts(mesh__pg->refusal(conn->pg)));
    }
    if (wait == PG_TIMEOUT && mesh__now_ns() >= end_ns) {
        return unreachable(conn, "no answer within 5 seconds", false);
    }
    if (wait != PG_READY) {
        return out_of_time(conn, wait); /* the attempt goes on at the next call */
    }
    status = conn->options->schema != NULL ? check_schema(ctx, conn) : MESH_OK;
    conn->ready = status == MESH_OK;
    return status;
}
