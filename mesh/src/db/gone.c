/* SPDX-License-Identifier: Apache-2.0 */
#include "db/gone.h"

#include "core/clock.h"
#include "core/fatal.h"
#include "db/db_impl.h"
#include "db/leases.h"
#include "mesh/log.h"
#include "mesh_sql.h"

#include <stdlib.h>
#include <string.h>

/* A replica whose session is over is gone after so long, sooner than by silence. */
#define SESSION_OVER_MS 1000

struct mesh__sighting {
    char *replica;
    int64_t kept_us; /* as its row says; whatever it is, it lives while this changes */
    int64_t since_ns;
    bool session_over;
    bool listed;
};

void mesh__gone_init(struct mesh__gone *gone, struct mesh_db *db, const char *replica)
{
    *gone = (struct mesh__gone){.replica = replica, .db = db};
    gone->ended = mesh_counter("mesh_replica_sessions_ended_total",
                               "Database sessions of replicas that had gone, ended", NULL);
}

void mesh__gone_done(struct mesh__gone *gone)
{
    for (size_t i = 0; i < gone->n_seen; i++) {
        free(gone->seen[i].replica);
    }
    free(gone->seen);
}

void mesh__gone_wait(struct mesh__gone *gone)
{
    gone->judge_from_ns = mesh__in_ms(mesh__lease_ms);
}

/* ---- looking ---- */

static struct mesh__sighting *sighting_of(struct mesh__gone *gone, const char *replica)
{
    struct mesh__sighting *seen;

    for (size_t i = 0; i < gone->n_seen; i++) {
        if (strcmp(gone->seen[i].replica, replica) == 0) {
            return &gone->seen[i];
        }
    }
    gone->seen = mesh__reallocarray(gone->seen, gone->n_seen + 1, sizeof(*gone->seen));
    seen = &gone->seen[gone->n_seen++];
    *seen = (struct mesh__sighting){.replica = mesh__strdup(replica), .since_ns = mesh__now_ns()};
    return seen;
}

static void note(struct mesh__gone *gone, const struct mesh_rows *rows, int64_t row)
{
    struct mesh__sighting *seen = sighting_of(gone, mesh_row_text(rows, row, 0));
    int64_t kept_us = mesh_row_time(rows, row, 1);

    if (seen->kept_us != kept_us) {
        seen->kept_us = kept_us;
        seen->since_ns = mesh__now_ns();
    }
    seen->session_over = mesh_row_bool(rows, row, 2);
    seen->listed = true;
}

static void forget_unlisted(struct mesh__gone *gone)
{
    size_t n = 0;

    for (size_t i = 0; i < gone->n_seen; i++) {
        if (gone->seen[i].listed) {
            gone->seen[n++] = gone->seen[i];
        } else {
            free(gone->seen[i].replica);
        }
    }
    gone->n_seen = n;
}

static MESH_STATUS look(struct mesh__gone *gone, struct mesh_ctx *ctx)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, gone->db, &mesh__sql_list_replicas,
                           MESH_ARGS(mesh_text(gone->replica)), &rows));
    for (size_t i = 0; i < gone->n_seen; i++) {
        gone->seen[i].listed = false;
    }
    for (int64_t row = 0; row < mesh_rows_count(rows); row++) {
        note(gone, rows, row);
    }
    forget_unlisted(gone);
    return MESH_OK;
}

/* ---- judging ---- */

static bool is_gone(const struct mesh__sighting *seen)
{
    int64_t patience_ms = seen->session_over ? SESSION_OVER_MS : mesh__lease_ms;

    return mesh__now_ns() >= mesh__after_ms(seen->since_ns, patience_ms);
}

static MESH_STATUS take_away(struct mesh__gone *gone, struct mesh_ctx *ctx,
                             const struct mesh__sighting *seen)
{
    struct mesh_rows *rows;
    int64_t n_sessions;

    MESH_TRY(mesh_db_query(ctx, gone->db, &mesh__sql_end_sessions,
                           MESH_ARGS(mesh_text(seen->replica), mesh_time(seen->kept_us)), &rows));
    n_sessions = mesh_row_int64(rows, 0, 0);
    mesh_counter_add(gone->ended, (uint64_t)n_sessions);
    MESH_TRY(mesh_db_query(ctx, gone->db, &mesh__sql_remove_replica,
                           MESH_ARGS(mesh_text(seen->replica), mesh_time(seen->kept_us)), &rows));
    if (mesh_rows_count(rows) > 0) { /* else another one was quicker, or it has come back */
        mesh_log(MESH_LOG_WARN,
                 MESH_LOG_FIELDS(mesh_log_text("replica", seen->replica),
                                 mesh_log_int("sessions_ended", n_sessions)),
                 "a replica has gone without giving up its work");
    }
    return MESH_OK;
}

MESH_STATUS mesh__gone_remove(struct mesh__gone *gone, struct mesh_ctx *ctx)
{
    enum mesh_status status = MESH_OK;

    MESH_TRY(look(gone, ctx));
    for (size_t i = 0; i < gone->n_seen && mesh__now_ns() >= gone->judge_from_ns; i++) {
        enum mesh_status one = MESH_OK;

        if (is_gone(&gone->seen[i])) {
            one = take_away(gone, ctx, &gone->seen[i]);
        }
        status = one != MESH_OK ? one : status;
    }
    return status;
}
