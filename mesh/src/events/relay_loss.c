/* SPDX-License-Identifier: Apache-2.0 */
/* What the relay does about a broker that may have lost what it had acknowledged. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "events/relay.h"
#include "events_sql.h"
#include "mesh/time.h"

#include <inttypes.h>
#include <stdio.h>

#define LOOK_MS 2000

/* ---- looking ---- */

/* What the stream has at the mark; the mark of a relay that has published nothing is at none, and
 * an empty stream begins and ends there, too. */
static MESH_STATUS look_up(struct mesh__relay *relay, struct broker_identity *ret_at,
                           bool *ret_known)
{
    const struct broker_stream *stream = &relay->link.stream;
    enum mesh_status status = MESH_NOT_FOUND;

    if (relay->mark.sequence > 0 && relay->mark.created_us == stream->created_us &&
        relay->mark.sequence >= stream->first_sequence &&
        relay->mark.sequence <= stream->last_sequence) {
        status = mesh__broker->message_identity(relay->ctx, relay->link.connection,
                                                relay->events->options.system, relay->mark.sequence,
                                                ret_at);
    }
    *ret_known = status == MESH_OK;
    return status == MESH_NOT_FOUND ? MESH_OK : status;
}

static MESH_STATUS judge(struct mesh__relay *relay, enum mesh__loss *ret_loss,
                         const char **ret_reason)
{
    struct broker_identity at;
    bool known;

    MESH_TRY(mesh__link_look(relay->ctx, &relay->link));
    if (relay->lost != NULL) { /* no need to look */
        *ret_loss = MESH__LOSS_ANY;
        *ret_reason = relay->lost;
        return MESH_OK;
    }
    MESH_TRY(look_up(relay, &at, &known));
    *ret_loss = mesh__mark_check(&relay->mark, relay->server_id, &relay->link.stream,
                                 known ? &at : NULL, mesh_now_us(), ret_reason);
    return MESH_OK;
}

/* ---- acting ---- */

static void note_broker(struct mesh__relay *relay)
{
    mesh__mark_seen(&relay->mark);
    relay->mark.created_us = relay->link.stream.created_us;
    (void)snprintf(relay->mark.server_id, sizeof(relay->mark.server_id), "%s", relay->server_id);
}

static MESH_STATUS go_back(struct mesh__relay *relay)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(relay->ctx, relay->db, &mesh__sql_load_earlier_position,
                           MESH_ARGS(mesh_int64(relay->rescue)), &rows));
    mesh__relay_begin_at(relay, mesh_rows_count(rows) > 0 ? mesh_row_text(rows, 0, 0)
                                                          : MESH__NOTHING_PUBLISHED);
    note_broker(relay);
    mesh_counter_add(relay->setbacks, 1);
    mesh_log(MESH_LOG_INFO, MESH_LOG_NO_FIELDS,
             "the broker was started anew: the events of the last minutes are published again");
    return MESH_OK;
}

/*
 * The number goes to the database first: else events would be published again under the ids that
 * the broker remembers, perhaps, without having them.
 */
static MESH_STATUS rescue(struct mesh__relay *relay, const char *reason)
{
    struct mesh_rows *rows;
    enum mesh_status status;

    MESH_TRY(mesh_db_query(relay->ctx, relay->db, &mesh__sql_has_outbox, MESH_NO_ARGS, &rows));
    relay->lost = NULL;
    relay->mark = (struct mesh__mark){.sequence = 0};
    note_broker(relay);
    relay->unsaved = true;
    if (!mesh_row_bool(rows, 0, 0)) {
        return MESH_OK; /* nothing is kept that could be published again */
    }
    mesh__relay_begin_at(relay, MESH__NOTHING_PUBLISHED);
    relay->rescue++;
    mesh_counter_add(relay->rescues, 1);
    mesh_log(
        MESH_LOG_ERROR,
        MESH_LOG_FIELDS(mesh_log_text("reason", reason), mesh_log_int("rescue", relay->rescue)),
        "the broker has lost events: everything that is kept is published again");
    status = mesh__relay_save_now(relay);
    if (status != MESH_OK) {
        mesh__relay_forget(relay);
    }
    return status;
}

MESH_STATUS mesh__relay_examine(struct mesh__relay *relay)
{
    enum mesh__loss loss;
    const char *reason = "";

    mesh__relay_ctx(relay);
    relay->examined = false;
    relay->examine_at_ns = mesh__in_ms(LOOK_MS);
    MESH_TRY(judge(relay, &loss, &reason));
    switch (loss) {
    case MESH__LOSS_ANY:
        MESH_TRY(rescue(relay, reason));
        break;
    case MESH__LOSS_LATEST:
        MESH_TRY(go_back(relay));
        break;
    case MESH__LOSS_NONE:
        note_broker(relay);
        break;
    }
    relay->examined = true;
    return MESH_OK;
}
