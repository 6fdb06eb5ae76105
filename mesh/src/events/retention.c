/* SPDX-License-Identifier: Apache-2.0 */
#include "events/retention.h"

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "events_sql.h"
#include "mesh/metrics.h"

#define SLICES 8 /* of what is kept */
#define LONGEST_INTERVAL_MS 60000
#define SHORTEST_INTERVAL_MS 250
#define CUT_MS 600000 /* it may have to read all of a large rest */

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

/* One of the two that are cut into slices. */
struct table {
    const char *name;
    int64_t keep_s;
    const struct mesh_sql *drop;
    const struct mesh_sql *purge;
};

/* ---- what is done: each statement is a transaction ---- */

/* Of a statement that counts what it has done. */
static MESH_STATUS query(struct mesh_ctx *ctx, struct mesh_db *db, const struct mesh_sql *statement,
                         struct mesh_args args, int64_t *ret_n)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, db, statement, args, &rows));
    *ret_n = mesh_row_int64(rows, 0, 0);
    return MESH_OK;
}

static MESH_STATUS promise_and_cut(struct mesh_ctx *ctx, struct mesh_db *db,
                                   const struct table *table, int64_t *ret_n)
{
    struct mesh_arg args[] = {mesh_text(table->name), mesh_int64(slice_ms(table->keep_s)),
                              mesh_null()};
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, db, &mesh__sql_make_promise, ((struct mesh_args){args, 2}), &rows));
    if (!mesh_row_is_null(rows, 0, 0)) {
        args[2] = mesh_time(mesh_row_time(rows, 0, 0));
        MESH_TRY(
            mesh_db_query(ctx, db, &mesh__sql_check_promise, ((struct mesh_args){args, 1}), &rows));
    }
    return query(ctx, db, &mesh__sql_cut_slices, ((struct mesh_args){args, 3}), ret_n);
}

/* If this fails, the next run begins with it; once it is urgent, who is in the way is ended. */
static void withdraw(struct mesh_ctx *ctx, struct mesh_db *db, const char *table)
{
    mesh_ignore(
        mesh_db_query(ctx, db, &mesh__sql_withdraw_promise, MESH_ARGS(mesh_text(table)), NULL));
}

/* With time of its own, whatever is left of the run's. */
static MESH_STATUS cut(struct mesh_ctx *ctx, struct mesh_db *db, const struct table *table,
                       int64_t *ret_n)
{
    cleanup_ctx struct mesh_ctx *long_ctx = mesh_ctx_fork(ctx);
    enum mesh_status status;

    long_ctx->deadline_ns = mesh__in_ms(CUT_MS);
    status = promise_and_cut(long_ctx, db, table, ret_n);
    if (status != MESH_OK) {
        mesh__error_copy(ctx, long_ctx);
        withdraw(mesh_ctx_closing(long_ctx), db, table->name);
    }
    return status;
}

void mesh__retention_begin(struct mesh_ctx *ctx, struct mesh_db *db)
{
    withdraw(ctx, db, "outbox");
    withdraw(ctx, db, "inbox");
}

/* ---- a run ---- */

struct run {
    struct mesh_ctx *ctx;
    struct mesh_db *db;
    enum mesh_status status; /* the first failure that is more than a lock in the way */
};

static struct mesh_counter *outcome_counter(const char *step, const char *outcome)
{
    const char *labels[] = {"step", step, "outcome", outcome, NULL};

    return mesh_counter("mesh_retention_steps_total",
                        "Steps of keeping outbox and inbox for as long as needed", labels);
}

/* Nobody is to wait behind us for long: what a lock is in the way of is left to the next run. An
 * alert tells of a step that is never done, so there are both counters from the first run on. */
static void end_step(struct run *run, const char *verb, const struct table *table,
                     enum mesh_status status)
{
    const char *step = mesh_printf(run->ctx, "%s %s", verb, table->name);
    struct mesh_counter *done = outcome_counter(step, "done");
    struct mesh_counter *failed = outcome_counter(step, "failed");

    mesh_counter_add(status == MESH_OK ? done : failed, 1);
    if (run->status == MESH_OK && status != MESH_ABORTED) {
        run->status = status;
    }
}

/* True: there is more to delete. */
static bool tend(struct run *run, const struct table *table)
{
    const struct mesh_arg age = mesh_int64(table->keep_s * 1000);
    int64_t made = 0;
    int64_t dropped = 0;
    int64_t deleted = 0;

    end_step(run, "drop", table, query(run->ctx, run->db, table->drop, MESH_ARGS(age), &dropped));
    end_step(run, "purge", table,
             query(run->ctx, run->db, table->purge,
                   MESH_ARGS(age, mesh_int64(MESH__RETENTION_PIECE)), &deleted));
    /* Last: it may take long. */
    end_step(run, "cut", table, cut(run->ctx, run->db, table, &made));
    mesh_counter_add(
        mesh_counter("mesh_slices_made_total", "Slices of outbox and inbox that were made", NULL),
        (uint64_t)made);
    mesh_counter_add(mesh_counter("mesh_slices_dropped_total",
                                  "Slices of outbox and inbox that were dropped", NULL),
                     (uint64_t)dropped);
    return deleted == MESH__RETENTION_PIECE;
}

MESH_STATUS mesh__retention_run(struct mesh_ctx *ctx, void *retention, bool *ret_more)
{
    const struct mesh__retention *our = retention;
    const struct table outbox = {"outbox", our->outbox_keep_s, &mesh__sql_drop_outbox_slices,
                                 &mesh__sql_purge_outbox_rest};
    const struct table inbox = {"inbox", our->inbox_keep_s, &mesh__sql_drop_inbox_slices,
                                &mesh__sql_purge_inbox_rest};
    struct run run = {.ctx = ctx, .db = our->db};

    *ret_more = tend(&run, &outbox);
    *ret_more = tend(&run, &inbox) || *ret_more;
    return run.status;
}
