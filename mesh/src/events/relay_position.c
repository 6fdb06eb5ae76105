/* SPDX-License-Identifier: Apache-2.0 */
/* How far the relay has published, kept beside the outbox. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "db/db_impl.h"
#include "events/relay.h"
#include "events_sql.h"

#include <stdio.h>

#define SAVE_MS 1000
#define MEASURE_MS 1000

void mesh__relay_forget(struct mesh__relay *relay)
{
    mesh__relay_keep(&relay->done, NULL);
    mesh__relay_keep(&relay->pass, NULL);
    relay->acked_id = 0;
    relay->unsaved = false;
    relay->examined = false;
    relay->lost = NULL;
}

void mesh__relay_begin_at(struct mesh__relay *relay, const char *done)
{
    mesh__relay_keep(&relay->done, done);
    mesh__relay_keep(&relay->pass, NULL);
    relay->acked_id = 0;
}

MESH_STATUS mesh__relay_check_position(struct mesh__relay *relay, struct mesh_tx *tx)
{
    if (mesh__tx_connection(tx) == relay->connection) {
        return MESH_OK;
    }
    mesh__relay_forget(relay);
    return mesh_fail(relay->ctx, MESH_ABORTED,
                     "the connection to the database is a new one: the position is read again");
}

/* Which replica must hold the relay's lease; null: there are no others. */
static struct mesh_arg holder(const struct mesh__relay *relay)
{
    const struct mesh__leases *leases = relay->events->options.leases;

    return leases != NULL ? mesh_text(mesh__leases_replica(leases)) : mesh_null();
}

static MESH_STATUS store(struct mesh__relay *relay, struct mesh_ctx *ctx, struct mesh_tx *tx)
{
    const struct mesh__mark *mark = &relay->mark;
    struct mesh_rows *rows;

    MESH_TRY(
        mesh_tx_query(ctx, tx, &mesh__sql_save_position,
                      MESH_ARGS(mesh_text(relay->done), mesh_text(mark->server_id),
                                mark->created_us != 0 ? mesh_time(mark->created_us) : mesh_null(),
                                mesh_int64((int64_t)mark->sequence), mesh_text(mark->message_id),
                                mesh_int64(relay->rescue), holder(relay)),
                      &rows));
    if (mesh_rows_count(rows) == 0) {
        mesh__relay_forget(relay);
        return mesh_fail(ctx, MESH_ABORTED, "another replica has taken the relay over");
    }
    return MESH_OK;
}

/* ---- reading it ---- */

/*
 * As after a dump was restored. What it had published is not known any more, and without new
 * transaction ids some rows would never be seen, and others in every pass.
 */
static MESH_STATUS adopt(struct mesh__relay *relay, struct mesh_tx **tx)
{
    struct mesh_ctx *ctx = relay->ctx; /* it takes what it takes */

    MESH_TRY(mesh_tx_exec(ctx, *tx, &mesh__sql_adopt_outbox, MESH_NO_ARGS));
    MESH_TRY(mesh_tx_exec(ctx, *tx, &mesh__sql_forget_positions, MESH_NO_ARGS));
    mesh__relay_begin_at(relay, MESH__NOTHING_PUBLISHED);
    MESH_TRY(store(relay, ctx, *tx));
    MESH_TRY(mesh_tx_commit(ctx, tx));
    mesh_counter_add(relay->restores, 1);
    mesh_log(MESH_LOG_WARN, MESH_LOG_NO_FIELDS,
             "the database was restored: everything that is kept is published again");
    return MESH_OK;
}

static void read_mark(const struct mesh_rows *rows, struct mesh__mark *ret_mark)
{
    *ret_mark = (struct mesh__mark){.sequence = (uint64_t)mesh_row_int64(rows, 0, 1),
                                    .created_us = mesh_row_time(rows, 0, 4),
                                    .acked_us = mesh_row_time(rows, 0, 7)};
    mesh__mark_seen(ret_mark);
    (void)snprintf(ret_mark->message_id, sizeof(ret_mark->message_id), "%s",
                   mesh_row_text(rows, 0, 2));
    (void)snprintf(ret_mark->server_id, sizeof(ret_mark->server_id), "%s",
                   mesh_row_text(rows, 0, 3));
}

MESH_STATUS mesh__relay_load(struct mesh__relay *relay)
{
    struct mesh_ctx *ctx = mesh_ctx_timeout(relay->ctx, MESH__RELAY_STATEMENT_MS);
    cleanup_tx struct mesh_tx *tx = NULL;
    const char *done = MESH__NOTHING_PUBLISHED;
    struct mesh_rows *position, *strange;
    enum mesh_status status;
    bool restored;

    MESH_TRY(mesh_tx_begin(ctx, relay->db, &tx));
    MESH_TRY(mesh_tx_query(ctx, tx, &mesh__sql_load_position, MESH_NO_ARGS, &position));
    MESH_TRY(mesh_tx_query(ctx, tx, &mesh__sql_has_strange_outbox, MESH_NO_ARGS, &strange));
    restored = mesh_row_bool(strange, 0, 0);
    relay->connection = mesh__tx_connection(tx);
    relay->mark = (struct mesh__mark){.sequence = 0};
    relay->rescue = 0;
    if (mesh_rows_count(position) > 0) {
        done = mesh_row_text(position, 0, 0);
        read_mark(position, &relay->mark);
        relay->rescue = mesh_row_int64(position, 0, 5);
        restored = restored || mesh_row_bool(position, 0, 6);
    }
    if (restored && (status = adopt(relay, &tx)) != MESH_OK) {
        mesh__relay_forget(relay);
        return status;
    }
    if (!restored) {
        mesh__relay_begin_at(relay, done);
    }
    return MESH_OK;
}

/* ---- saving it ---- */

MESH_STATUS mesh__relay_save_now(struct mesh__relay *relay)
{
    struct mesh_ctx *ctx = mesh_ctx_timeout(relay->ctx, SAVE_MS / 2);
    cleanup_tx struct mesh_tx *tx = NULL;

    MESH_TRY(mesh_tx_begin(ctx, relay->db, &tx));
    MESH_TRY(mesh__relay_check_position(relay, tx));
    MESH_TRY(store(relay, ctx, tx));
    MESH_TRY(mesh_tx_exec(ctx, tx, &mesh__sql_purge_positions, MESH_NO_ARGS));
    MESH_TRY(mesh_tx_commit(ctx, &tx));
    relay->unsaved = false;
    return MESH_OK;
}

void mesh__relay_finish(struct mesh__relay *relay)
{
    mesh__ctx_reset(relay->ctx, mesh__in_ms(SAVE_MS)); /* also when it is to stop */
    if (relay->unsaved && mesh__relay_save_now(relay) != MESH_OK) {
        mesh__relay_failed(relay, mesh_ctx_error(relay->ctx)); /* published again after a restart */
    }
}

void mesh__relay_tend(struct mesh__relay *relay)
{
    int64_t now_ns = mesh__now_ns();
    bool save = relay->unsaved && now_ns >= relay->save_at_ns;

    if (!save && now_ns < relay->examine_at_ns) {
        return;
    }
    if (mesh__relay_examine(relay) != MESH_OK) {
        mesh__relay_failed(relay, mesh_ctx_error(relay->ctx));
        return;
    }
    if (save) {
        relay->save_at_ns = mesh__in_ms(SAVE_MS);
        mesh__relay_finish(relay);
    }
}

/* ---- figures ---- */

static MESH_STATUS count_backlog(struct mesh__relay *relay)
{
    struct mesh_ctx *ctx = mesh_ctx_timeout(relay->ctx, MESH__RELAY_STATEMENT_MS);
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, relay->db, &mesh__sql_count_backlog,
                           MESH_ARGS(mesh_text(relay->done), mesh_int64(relay->acked_id)), &rows));
    mesh_gauge_set(relay->backlog, (double)mesh_row_int64(rows, 0, 0));
    mesh_gauge_set(relay->oldest, (double)mesh_row_int64(rows, 0, 1) / 1000);
    return MESH_OK;
}

void mesh__relay_measure(struct mesh__relay *relay, bool published_all)
{
    if (published_all) {
        mesh_gauge_set(relay->backlog, 0);
        mesh_gauge_set(relay->oldest, 0);
    } else if (relay->done != NULL && mesh__now_ns() >= relay->measure_at_ns) {
        relay->measure_at_ns = mesh__in_ms(MEASURE_MS);
        mesh__relay_ctx(relay);
        mesh_ignore(count_backlog(relay)); /* without a database there is no figure */
    }
}
