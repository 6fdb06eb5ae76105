/* SPDX-License-Identifier: Apache-2.0 */
#include "events/retention.h"

#include "events_sql.h"
#include "mesh/metrics.h"

#define SLICES 8 /* of what is kept */
#define LONGEST_INTERVAL_MS 60000
#define SHORTEST_INTERVAL_MS 250

static int64_t slice_ms(int64_t keep_s)
{
    return keep_s * 1000 / SLICES;
}

int64_t mesh__retention_interval_ms(const struct mesh__retention *retention)
{
    int64_t shorter_s = retention->outbox_keep_s < retention->inbox_keep_s
                            ? retention->outbox_keep_s
                            : retention->inbox_keep_s;
    int64_t ms = slice_ms(shorter_s) / 4;

    if (ms > LONGEST_INTERVAL_MS) {
        return LONGEST_INTERVAL_MS;
    }
    return ms < SHORTEST_INTERVAL_MS ? SHORTEST_INTERVAL_MS : ms;
}

/* Runs a function of the database that counts the slices it has made or dropped. */
static MESH_STATUS change_slices(struct mesh_ctx *ctx, struct mesh_db *db,
                                 const struct mesh_sql *statement, struct mesh_args args,
                                 struct mesh_counter *counter)
{
    struct mesh_rows *rows;
    enum mesh_status status = mesh_db_query(ctx, db, statement, args, &rows);

    if (status == MESH_ABORTED) { /* a transaction holds a lock; nobody is to wait behind us */
        return MESH_OK;
    }
    MESH_TRY(status);
    mesh_counter_add(counter, (uint64_t)mesh_row_int64(rows, 0, 0));
    return MESH_OK;
}

MESH_STATUS mesh__retention_run(struct mesh_ctx *ctx, void *retention, bool *ret_more)
{
    const struct mesh__retention *our = retention;
    struct mesh_counter *made =
        mesh_counter("mesh_slices_made_total", "Slices of outbox and inbox that were made", NULL);
    struct mesh_counter *dropped = mesh_counter(
        "mesh_slices_dropped_total", "Slices of outbox and inbox that were dropped", NULL);
    const struct mesh_args outbox = MESH_ARGS(mesh_int64(our->outbox_keep_s * 1000));
    const struct mesh_args inbox = MESH_ARGS(mesh_int64(our->inbox_keep_s * 1000));

    *ret_more = false;
    MESH_TRY(change_slices(ctx, our->db, &mesh__sql_cut_slices,
                           MESH_ARGS(mesh_text("outbox"), mesh_int64(slice_ms(our->outbox_keep_s))),
                           made));
    MESH_TRY(change_slices(ctx, our->db, &mesh__sql_cut_slices,
                           MESH_ARGS(mesh_text("inbox"), mesh_int64(slice_ms(our->inbox_keep_s))),
                           made));
    MESH_TRY(change_slices(ctx, our->db, &mesh__sql_drop_outbox_slices, outbox, dropped));
    return change_slices(ctx, our->db, &mesh__sql_drop_inbox_slices, inbox, dropped);
}
