/* SPDX-License-Identifier: Apache-2.0 */
/* A pass of the relay: publishes what committed transactions have put into the outbox, in order per
 * key. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "db/db_impl.h"
#include "events/relay.h"
#include "events_sql.h"
#include "mesh/time.h"

#include <inttypes.h>
#include <string.h>

#define PAGE 1000 /* as in sql/fetch_pass.sql */
#define FEW 32    /* as in sql/fetch_few.sql: even the largest events fit into memory */
#define WINDOW_WAIT_MS 50
#define LOOK_MS 1000
#define NEARLY_FULL_LOOK_MS 100
#define DRAIN_MS 6000 /* longer than the broker seam waits for an acknowledgement */
#define STOP_DRAIN_MS 300

/* What one pass has seen so far. */
struct pass {
    struct mesh_tx *tx;
    char *snapshot; /* NULL: no rows */
    int64_t rows;   /* of the last page */
    bool cut;       /* ended early */
};

static bool stopping(const struct mesh__relay *relay)
{
    return atomic_load(&relay->stopping);
}

/* ---- acknowledgements ---- */

void mesh__relay_closed(void *arg)
{
    struct mesh__relay *relay = arg;

    atomic_store(&relay->link.closed, true);
    mesh__window_gone(&relay->window);
}

void mesh__relay_ack(void *arg, uint64_t token, const struct broker_ack *ack)
{
    struct mesh__relay *relay = arg;

    mesh__window_ack(&relay->window, token, ack);
}

static bool in_stream(const struct broker_stream *stream, uint64_t sequence)
{
    return sequence >= stream->first_sequence && sequence <= stream->last_sequence;
}

/*
 * The broker remembers message ids longer than messages: after a purge it calls an event a
 * duplicate of one that is not there.
 */
static const char *doubt_duplicate(struct mesh__relay *relay, const struct mesh__slot *slot)
{
    if (in_stream(&relay->link.stream, slot->sequence)) {
        return NULL;
    }
    if (mesh__link_look(relay->ctx, &relay->link) != MESH_OK) {
        return mesh_printf(relay->ctx, "what an event is a duplicate of cannot be looked for: %s",
                           mesh_ctx_error(relay->ctx));
    }
    if (!in_stream(&relay->link.stream, slot->sequence)) {
        relay->lost = "the broker took an event for a duplicate of one that it does not have";
    }
    return relay->lost;
}

/* Why an event that is acknowledged may not be where the next ones belong; NULL if it is. */
static const char *doubt(struct mesh__relay *relay, const struct mesh__slot *slot)
{
    if (slot->state == MESH__SLOT_DUPLICATE) {
        return doubt_duplicate(relay, slot);
    }
    if (slot->sequence <= relay->mark.sequence) {
        relay->lost = "the stream has begun anew";
    }
    return relay->lost;
}

/* Takes what is acknowledged out of the window, in order. */
static void settle(struct mesh__relay *relay)
{
    struct mesh__slot slot;

    while (mesh__window_oldest(&relay->window, &slot)) {
        const char *reason = doubt(relay, &slot);

        if (reason != NULL) {
            mesh__window_refuse(&relay->window, reason);
            return;
        }
        relay->acked_id = slot.id;
        mesh__mark_move(&relay->mark, slot.sequence, slot.message_id, mesh_now_us());
        mesh__window_retire(&relay->window);
        mesh_counter_add(relay->published, 1);
    }
}

/* ---- a pass ---- */

/* Whether so much more would leave less than that part of the stream free. */
static bool fills(const struct broker_stream *stream, size_t size, int64_t part)
{
    return stream->max_bytes > 0 &&
           stream->size + (int64_t)size > stream->max_bytes - stream->max_bytes / part;
}

/*
 * Where a publication may be refused and the next one taken, each goes alone, so that their order
 * is not turned round: the first one of a connection, for the broker may just be starting, and all
 * of them to a stream that is nearly full, which has room for the smaller ones.
 */
static bool must_go_alone(const struct mesh__relay *relay)
{
    return !relay->proven || fills(&relay->link.stream, 0, 8);
}

/*
 * The broker is not let come to its limit: nats-server 2.9 forgets there how large the record of a
 * message is, takes it, and drops the oldest one for it.
 */
static bool has_room(struct mesh__relay *relay, struct mesh_ctx *ctx, size_t size)
{
    const struct broker_stream *stream = &relay->link.stream;

    if (fills(stream, size, 8) &&
        mesh__now_ns() - relay->link.seen_ns > NEARLY_FULL_LOOK_MS * MESH_NS_PER_MS) {
        mesh_ignore(mesh__link_look(ctx, &relay->link)); /* others fill it, too */
    }
    return !fills(stream, size, 64);
}

static bool prove(struct mesh__relay *relay)
{
    settle(relay);
    while (!mesh__window_empty(&relay->window)) {
        if (!mesh__relay_works(relay) || mesh__window_broken(&relay->window)) {
            return false;
        }
        mesh__window_wait(&relay->window, mesh__in_ms(WINDOW_WAIT_MS));
        settle(relay);
    }
    relay->proven = true;
    return true;
}

static const char *message_id(const struct mesh__relay *relay, struct mesh_ctx *ctx,
                              const struct mesh_rows *rows, int64_t row)
{
    const char *event_id = mesh_row_uuid(rows, row, 1);

    return relay->rescue == 0 ? event_id : mesh_printf(ctx, "%s/%" PRId64, event_id, relay->rescue);
}

/* As if the broker had. */
static void refuse(struct mesh__relay *relay, uint64_t token, const char *why, bool full)
{
    const struct broker_ack ack = {.error = why, .full = full};

    mesh__window_ack(&relay->window, token, &ack);
}

/* False: the window is broken, or it is time to stop. */
static bool publish(struct mesh__relay *relay, struct mesh_ctx *ctx, const struct mesh_rows *rows,
                    int64_t row)
{
    struct broker_publication publication = {.id = message_id(relay, ctx, rows, row),
                                             .subject = mesh_row_text(rows, row, 2)};
    uint64_t token;

    publication.data = mesh_row_bytes(rows, row, 3, &publication.size);
    while (
        !mesh__window_add(&relay->window, mesh_row_int64(rows, row, 0), publication.id, &token)) {
        settle(relay);
        if (!mesh__relay_works(relay) || mesh__window_broken(&relay->window)) {
            return false;
        }
        mesh__window_wait(&relay->window, mesh__in_ms(WINDOW_WAIT_MS));
    }
    if (!has_room(relay, ctx, publication.size)) {
        refuse(relay, token, "there is no room for another event", true);
        return false;
    }
    if (mesh__broker->publish(ctx, relay->link.connection, &publication, token) != MESH_OK) {
        refuse(relay, token, mesh_ctx_error(ctx), false);
        return false;
    }
    relay->link.stream.size += (int64_t)publication.size; /* until it is looked at again */
    return !must_go_alone(relay) || prove(relay);
}

static MESH_STATUS publish_page(struct mesh__relay *relay, struct pass *pass)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_fork(relay->ctx);
    struct mesh_rows *rows;

    if (mesh__now_ns() - relay->link.seen_ns > LOOK_MS * MESH_NS_PER_MS) {
        mesh_ignore(mesh__link_look(ctx, &relay->link)); /* others fill the stream, too */
    }
    MESH_TRY(mesh_tx_query(mesh_ctx_timeout(ctx, MESH__RELAY_STATEMENT_MS), pass->tx,
                           relay->large ? &mesh__sql_fetch_few : &mesh__sql_fetch_pass,
                           MESH_NO_ARGS, &rows));
    pass->rows = mesh_rows_count(rows);
    if (pass->rows > 0 && pass->snapshot == NULL) {
        pass->snapshot = mesh_strdup(relay->ctx, mesh_row_text(rows, 0, 4));
    }
    for (int64_t row = 0; row < pass->rows && !pass->cut; row++) {
        pass->cut = !mesh__relay_works(relay) || !publish(relay, ctx, rows, row);
    }
    return MESH_OK;
}

static MESH_STATUS declare(struct mesh__relay *relay, struct mesh_ctx *ctx, struct mesh_tx *tx)
{
    if (relay->pass == NULL) {
        return mesh_tx_exec(ctx, tx, &mesh__sql_declare_pass, MESH_ARGS(mesh_text(relay->done)));
    }
    return mesh_tx_exec(
        ctx, tx, &mesh__sql_declare_resumed_pass,
        MESH_ARGS(mesh_text(relay->done), mesh_text(relay->pass), mesh_int64(relay->acked_id)));
}

static MESH_STATUS publish_pages(struct mesh__relay *relay, struct pass *pass)
{
    struct mesh_ctx *ctx = mesh_ctx_timeout(relay->ctx, MESH__RELAY_STATEMENT_MS);

    MESH_TRY(mesh__tx_begin_as(ctx, relay->db, "begin isolation level repeatable read read only",
                               &pass->tx));
    MESH_TRY(mesh__relay_check_position(relay, pass->tx));
    MESH_TRY(declare(relay, ctx, pass->tx));
    do {
        MESH_TRY(publish_page(relay, pass));
    } while (pass->rows == (relay->large ? FEW : PAGE) && !pass->cut);
    return mesh_tx_commit(mesh_ctx_timeout(relay->ctx, MESH__RELAY_STATEMENT_MS), &pass->tx);
}

/* Waits for the outcome of everything published; false if something has failed. */
static bool finish_window(struct mesh__relay *relay)
{
    int64_t stop_ns = MESH_NO_DEADLINE;
    bool whole;

    settle(relay);
    while (!mesh__window_empty(&relay->window) && !mesh__window_broken(&relay->window)) {
        if (stopping(relay) && stop_ns == MESH_NO_DEADLINE) {
            stop_ns = mesh__in_ms(STOP_DRAIN_MS);
        }
        if (mesh__now_ns() >= stop_ns) {
            return false;
        }
        mesh__window_wait(&relay->window, mesh__in_ms(WINDOW_WAIT_MS));
        settle(relay);
    }
    whole = !mesh__window_broken(&relay->window);
    if (!whole) {
        mesh__window_drain(&relay->window, mesh__in_ms(stopping(relay) ? STOP_DRAIN_MS : DRAIN_MS));
        settle(relay);
    }
    return whole;
}

static void note_broken(struct mesh__relay *relay)
{
    if (!relay->window.full) {
        mesh__relay_failed(relay, relay->window.reason);
        return;
    }
    mesh_counter_add(relay->failures, 1);
    mesh_gauge_set(relay->full, 1);
    if (mesh__rarely_now(&relay->complaint)) {
        mesh_log(MESH_LOG_ERROR, MESH_LOG_FIELDS(mesh_log_text("reason", relay->window.reason)),
                 "the stream is full: events wait in the outbox until there is room for them");
    }
}

/* Moves the position. */
static void conclude(struct mesh__relay *relay, const struct pass *pass, bool whole)
{
    if (pass->snapshot == NULL && relay->pass == NULL) {
        return; /* nothing: the next pass looks for it from here as quickly, without another save */
    }
    if (!whole) { /* to be resumed after acked_id */
        if (pass->snapshot != NULL) {
            mesh__relay_keep(&relay->pass, pass->snapshot);
        }
        return;
    }
    mesh_gauge_set(relay->full, 0);
    mesh__relay_keep(&relay->done, relay->pass != NULL ? relay->pass : pass->snapshot);
    mesh__relay_keep(&relay->pass, NULL);
    relay->acked_id = 0;
    relay->unsaved = true;
}

bool mesh__relay_pass(struct mesh__relay *relay)
{
    struct pass pass = {0};
    enum mesh_status status;
    bool whole;

    mesh__relay_ctx(relay);
    status = publish_pages(relay, &pass);
    whole = finish_window(relay) && !pass.cut;
    mesh__cleanup_tx(&pass.tx);
    conclude(relay, &pass, whole && status == MESH_OK);
    relay->large = status == MESH_RESOURCE_EXHAUSTED || (relay->large && status != MESH_OK);
    if (!whole) {
        note_broken(relay);
        mesh__link_close(&relay->link); /* and begin anew: nothing of this connection is trusted */
    } else if (status != MESH_OK && status != MESH_RESOURCE_EXHAUSTED) {
        mesh__relay_failed(relay, mesh_ctx_error(relay->ctx));
    }
    mesh__window_reset(&relay->window);
    return whole && status == MESH_OK;
}
