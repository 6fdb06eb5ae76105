/* SPDX-License-Identifier: Apache-2.0 */
#include "events/parking.h"

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "events_sql.h"

#include <stdio.h>
#include <string.h>

int mesh__park_at = 8;

/* As metrics have it. */
static const char *const whys[] = {
    [MESH__WHY_JUNK] = "junk",       [MESH__WHY_UNREADABLE] = "unreadable",
    [MESH__WHY_REFUSED] = "refused", [MESH__WHY_CRASHED] = "crash",
    [MESH__WHY_BEHIND] = "behind",
};

void mesh__parking_init(struct mesh__share *share)
{
    char partition[12];
    const char *place[] = {"source", share->source, "partition", partition, NULL};

    (void)snprintf(partition, sizeof(partition), "%d", share->partition);
    share->parked = mesh_gauge("mesh_dead_letters",
                               "Events that are parked and not dropped, up to 10000", place);
    for (int why = MESH__WHY_NOT + 1; why < MESH__WHYS; why++) {
        const char *labels[] = {"source", share->source, "reason", whys[why], NULL};

        /* Before the first one: Prometheus sees no increase in what appears as 1. */
        share->put_aside[why] = mesh_counter(
            "mesh_events_parked_total",
            "Events put aside because they, or earlier ones of their keys, could not be handled",
            labels);
    }
}

bool mesh__is_transient(enum mesh_status status)
{
    return status == MESH_ABORTED || status == MESH_UNAVAILABLE ||
           status == MESH_DEADLINE_EXCEEDED || status == MESH_UNKNOWN || status == MESH_CANCELLED;
}

/* ---- keys that wait ---- */

static void set_behind(struct mesh_ctx *ctx, struct mesh__letter *letter, const char *first,
                       bool redrive)
{
    letter->why = MESH__WHY_BEHIND;
    letter->reason = mesh_printf(ctx, "behind %s", first);
    letter->redrive = redrive;
}

MESH_STATUS mesh__park_waiting(struct mesh__reader *reader, const struct mesh__share *share,
                               struct mesh_tx *tx, struct mesh__letter *letters, int n)
{
    struct mesh_ctx *ctx = reader->ctx;
    struct mesh_rows *rows;
    const char **keys;
    size_t n_keys = 0;

    if (!share->maybe_parked) {
        return MESH_OK;
    }
    keys = mesh_alloc(ctx, (size_t)n * sizeof(*keys));
    for (int i = 0; i < n; i++) {
        if (letters[i].fresh) {
            keys[n_keys++] = letters[i].key;
        }
    }
    MESH_TRY(mesh_tx_query(ctx, tx, &mesh__sql_find_waiting,
                           MESH_ARGS(mesh_int64(share->partition), mesh_text(share->source),
                                     mesh_text_array(keys, n_keys)),
                           &rows));
    for (int64_t row = 0; row < mesh_rows_count(rows); row++) {
        for (int i = 0; i < n; i++) {
            if (letters[i].fresh && strcmp(letters[i].key, mesh_row_text(rows, row, 0)) == 0) {
                set_behind(ctx, &letters[i], mesh_row_text(rows, row, 1),
                           mesh_row_bool(rows, row, 2));
            }
        }
    }
    return MESH_OK;
}

void mesh__park_behind(struct mesh_ctx *ctx, const struct mesh__letter *letter,
                       struct mesh__letter *others, int n)
{
    for (int i = 0; i < n; i++) {
        if (others[i].fresh && others[i].why == MESH__WHY_NOT &&
            strcmp(others[i].key, letter->key) == 0) {
            set_behind(ctx, &others[i], letter->id, false);
        }
    }
}

/* ---- parking ---- */

MESH_STATUS mesh__park(struct mesh__reader *reader, struct mesh__share *share, struct mesh_tx *tx,
                       const struct mesh__letter *letter)
{
    const int attempts = letter->why == MESH__WHY_REFUSED ? share->refusals : 0;

    if (!share->maybe_parked) { /* also if it is never known whether it was committed */
        share->maybe_parked = true;
        share->look_ns = mesh__in_ms(MESH__LOOK_MS);
    }
    return mesh_tx_exec(reader->ctx, tx, &mesh__sql_park_event,
                        MESH_ARGS(mesh_int64(share->partition), mesh_text(share->source),
                                  mesh_int64((int64_t)letter->sequence), mesh_uuid(letter->id),
                                  mesh_text(letter->key), mesh_text(letter->subject),
                                  mesh_bytes(letter->data, letter->size),
                                  mesh_bool(letter->redrive), mesh_text(letter->reason),
                                  mesh_int64(attempts)));
}

void mesh__park_tell(struct mesh__share *share, const struct mesh__letter *letter)
{
    mesh_counter_add(share->put_aside[letter->why], 1);
    /* The rest of a key follows from its first one. */
    mesh_log(letter->why == MESH__WHY_BEHIND ? MESH_LOG_WARN : MESH_LOG_ERROR,
             MESH_LOG_FIELDS(mesh_log_text("event_id", letter->id),
                             mesh_log_text("subject", letter->subject),
                             mesh_log_text("key", letter->key),
                             mesh_log_int("sequence", (int64_t)letter->sequence),
                             mesh_log_text("reason", letter->reason)),
             "an event is parked");
}
