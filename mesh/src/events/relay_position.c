/* SPDX-License-Identifier: Apache-2.0 */
/* How far the relay has published, kept beside the outbox. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "db/db_impl.h"
#include "events/relay.h"
#include "events_sql.h"

#include <string.h>

#define SAVE_MS 1000
#define MEASURE_MS 1000
#define NOTHING_PUBLISHED "1:1:"

void mesh__relay_forget(struct mesh__relay *relay)
{
    mesh__relay_keep(&relay->done, NULL);
    mesh__relay_keep(&relay->pass, NULL);
    relay->acked_id = 0;
    relay->unsaved = false;
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

MESH_STATUS mesh__relay_load(struct mesh__relay *relay)
{
    struct mesh_ctx *ctx = mesh_ctx_timeout(relay->ctx, MESH__RELAY_STATEMENT_MS);
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_begin(ctx, relay->db, &tx));
    MESH_TRY(mesh_tx_query(ctx, tx, &mesh__sql_load_position, MESH_NO_ARGS, &rows));
    relay->connection = mesh__tx_connection(tx);
    if (mesh_rows_count(rows) == 0) {
        mesh__relay_keep(&relay->done, NOTHING_PUBLISHED);
        return MESH_OK;
    }
    relay->last_sequence = (uint64_t)mesh_row_int64(rows, 0, 1);
    strncpy(relay->last_event_id, mesh_row_text(rows, 0, 2), sizeof(relay->last_event_id) - 1);
    mesh__relay_keep(&relay->done, mesh_row_text(rows, 0, 0));
    return MESH_OK;
}

/* Which replica must hold the relay's lease; null: there are no others. */
static struct mesh_arg holder(const struct mesh__relay *relay)
{
    const struct mesh__leases *leases = relay->events->options.leases;

    return leases != NULL ? mesh_text(mesh__leases_replica(leases)) : mesh_null();
}

static MESH_STATUS save_position(struct mesh__relay *relay)
{
    struct mesh_ctx *ctx = mesh_ctx_timeout(relay->ctx, SAVE_MS / 2);
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_begin(ctx, relay->db, &tx));
    MESH_TRY(mesh__relay_check_position(relay, tx));
    MESH_TRY(mesh_tx_query(ctx, tx, &mesh__sql_save_position,
                           MESH_ARGS(mesh_text(relay->done), mesh_text(relay->server_id),
                                     relay->link.stream.created_us != 0
                                         ? mesh_time(relay->link.stream.created_us)
                                         : mesh_null(),
                                     mesh_int64((int64_t)relay->last_sequence),
                                     mesh_text(relay->last_event_id), holder(relay)),
                           &rows));
    if (mesh_rows_count(rows) == 0) {
        mesh__relay_forget(relay);
        return mesh_fail(ctx, MESH_ABORTED, "another replica has taken the relay over");
    }
    MESH_TRY(mesh_tx_exec(ctx, tx, &mesh__sql_purge_positions, MESH_NO_ARGS));
    MESH_TRY(mesh_tx_commit(ctx, &tx));
    relay->unsaved = false;
    return MESH_OK;
}

void mesh__relay_save(struct mesh__relay *relay, bool at_once)
{
    if (!relay->unsaved || (!at_once && mesh__now_ns() < relay->save_at_ns)) {
        return;
    }
    relay->save_at_ns = mesh__in_ms(SAVE_MS);
    mesh__ctx_reset(relay->ctx, MESH_NO_DEADLINE); /* also when stopping */
    if (save_position(relay) != MESH_OK) {
        mesh__relay_failed(relay, mesh_ctx_error(relay->ctx)); /* published again after a restart */
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
