/* SPDX-License-Identifier: Apache-2.0 */
/* A share from its cursor to its consumer and back: opening, comparing with the stream, moving. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "events/parking.h"
#include "events/trial.h"
#include "events_sql.h"

#include <inttypes.h>
#include <string.h>

#define LOOK_AGAIN_MS 200
#define REOPEN_MS 100   /* a broker that refuses is not asked in a tight loop */
#define SKIPPED_MS 1000 /* a cursor that only skips is written so often */

int64_t mesh__quiet_ms = 60000;

static void log_share(enum mesh_log_level level, const struct mesh__share *share, const char *text,
                      const char *reason)
{
    mesh_log(level,
             MESH_LOG_FIELDS(mesh_log_text("source", share->source),
                             mesh_log_int("partition", share->partition),
                             mesh_log_int("sequence", (int64_t)share->cursor.sequence),
                             mesh_log_text("reason", reason)),
             "%s", text);
}

/* ---- moving the cursor ---- */

static void moved(struct mesh__share *share, const struct mesh__cursor *to)
{
    share->cursor = *to;
    share->reached = *to;
    share->moved_ns = mesh__now_ns();
}

MESH_STATUS mesh__share_move(struct mesh__reader *reader, struct mesh__share *share,
                             const struct mesh__cursor *to)
{
    struct mesh_arg args[MESH__CURSOR_ARGS];
    struct mesh_rows *rows;

    mesh__cursor_args(share->partition, share->source, &share->cursor, to, args);
    MESH_TRY(mesh_db_query(reader->ctx, reader->db, &mesh__sql_move_cursor,
                           ((struct mesh_args){args, MESH__CURSOR_ARGS}), &rows));
    MESH_TRY(mesh__cursor_held(reader->ctx, rows));
    moved(share, to);
    return MESH_OK;
}

static void look_for_parked(struct mesh__share *share, const struct mesh__cursor_row *row)
{
    share->maybe_parked = row->parked;
    share->draining = row->parked;
    share->look_ns = 0;
    if (!row->parked) { /* else it is counted soon */
        mesh_gauge_set(share->parked, 0);
    }
}

MESH_STATUS mesh__share_resync(struct mesh__reader *reader, struct mesh__share *share)
{
    struct mesh__cursor_row row;
    struct mesh__cursor cursor;

    MESH_TRY(mesh__cursor_load(mesh__reader_ctx(reader), reader->db, share->partition,
                               share->source, &row));
    cursor = row.cursor;
    look_for_parked(share, &row);
    if ((cursor.created_us != share->created_us && cursor.created_us != 0) ||
        cursor.sequence < share->cursor.sequence) { /* it was rewound */
        mesh__share_close(reader, share);
    } else {
        mesh__inflow_drop(reader, share, cursor.sequence);
    }
    moved(share, &cursor);
    return MESH_OK;
}

/* ---- comparing with the stream ---- */

/* What the stream has at the cursor; false if it has nothing, or nothing to compare with is known.
 */
static bool look_up(struct mesh__reader *reader, const struct mesh__cursor *cursor,
                    struct broker_identity *ret_at)
{
    const struct broker_stream *stream = &reader->link.stream;

    return cursor->created_us != 0 && (cursor->at.id[0] != '\0' || cursor->at.time_us != 0) &&
           cursor->sequence >= stream->first_sequence &&
           cursor->sequence <= stream->last_sequence &&
           mesh__broker->message_identity(reader->ctx, reader->link.connection,
                                          reader->events->options.system, cursor->sequence,
                                          ret_at) == MESH_OK;
}

static MESH_STATUS rewind_share(struct mesh__reader *reader, struct mesh__share *share)
{
    const struct mesh__cursor beginning = {.created_us = reader->link.stream.created_us};

    log_share(MESH_LOG_WARN, share, "the stream is read again from its beginning",
              "it is not the one that was read before");
    MESH_TRY(mesh__share_move(reader, share, &beginning));
    mesh_counter_add(reader->rewinds, 1);
    return MESH_OK;
}

static void note_gap(struct mesh__reader *reader, const struct mesh__share *share)
{
    mesh_counter_add(reader->gaps, 1);
    log_share(MESH_LOG_ERROR, share, "events were dropped from the stream before they were read",
              "its limits are too small, or this service was away for too long");
}

static MESH_STATUS skip_gap(struct mesh__reader *reader, struct mesh__share *share)
{
    const struct mesh__cursor first = {.sequence = reader->link.stream.first_sequence - 1,
                                       .created_us = reader->link.stream.created_us};

    note_gap(reader, share);
    return mesh__share_move(reader, share, &first);
}

/* Makes the cursor fit before anything is read from it. */
static MESH_STATUS fit(struct mesh__reader *reader, struct mesh__share *share)
{
    struct broker_identity at;
    bool known = look_up(reader, &share->cursor, &at);

    switch (mesh__cursor_check(&share->cursor, share->cursor.sequence, &reader->link.stream,
                               known ? &at : NULL)) {
    case MESH__CURSOR_REWIND:
        return rewind_share(reader, share);
    case MESH__CURSOR_GAP:
        return skip_gap(reader, share);
    case MESH__CURSOR_FITS:
        break;
    }
    return MESH_OK;
}

/* The share whose cursor is furthest: if its message is still there, so are those before it. */
static const struct mesh__share *furthest(const struct mesh__reader *reader)
{
    const struct mesh__share *found = NULL;

    for (size_t i = 0; i < reader->n_shares; i++) {
        const struct mesh__share *share = &reader->shares[i];

        if (share->open && share->cursor.at.id[0] != '\0' &&
            (found == NULL || share->cursor.sequence > found->cursor.sequence)) {
            found = share;
        }
    }
    return found;
}

static void check(struct mesh__reader *reader, struct mesh__share *share)
{
    const struct broker_stream *stream = &reader->link.stream;
    struct mesh__cursor cursor = share->cursor;

    if (cursor.created_us == 0) { /* nothing read yet, but the consumer is of this stream */
        cursor.created_us = share->created_us;
    }
    if (mesh__inflow_current(reader, share) && stream->first_sequence > 0) {
        mesh__inflow_assume(reader, share, stream->first_sequence - 1);
    }
    switch (mesh__cursor_check(&cursor, mesh__inflow_complete(reader, share), stream, NULL)) {
    case MESH__CURSOR_REWIND:
        mesh__share_close(reader, share);
        break;
    case MESH__CURSOR_GAP: /* what has arrived is still read; the consumer goes on behind the gap */
        note_gap(reader, share);
        mesh__inflow_assume(reader, share, stream->first_sequence - 1);
        break;
    case MESH__CURSOR_FITS:
        break;
    }
}

MESH_STATUS mesh__shares_check(struct mesh__reader *reader)
{
    struct mesh_ctx *ctx = mesh__reader_ctx(reader);
    const struct mesh__share *sample;
    struct broker_identity at;
    bool rewritten;

    MESH_TRY(mesh__link_look(ctx, &reader->link));
    sample = furthest(reader);
    rewritten = sample != NULL && look_up(reader, &sample->cursor, &at) &&
                mesh__cursor_check(&sample->cursor, sample->cursor.sequence, &reader->link.stream,
                                   &at) == MESH__CURSOR_REWIND;
    for (size_t i = 0; i < reader->n_shares; i++) {
        if (!reader->shares[i].open) {
            continue;
        }
        if (rewritten) { /* each is looked at closely when it opens again */
            mesh__share_close(reader, &reader->shares[i]);
        } else {
            check(reader, &reader->shares[i]);
        }
    }
    return MESH_OK;
}

/* ---- opening and closing ---- */

void mesh__share_close(struct mesh__reader *reader, struct mesh__share *share)
{
    if (share->open && mesh__link_up(&reader->link)) {
        mesh__broker->consumer_close(reader->link.connection, reader->events->options.system,
                                     share->in.consumer);
    }
    share->open = false;
    mesh__inflow_reset(reader, share, NULL);
}

/*
 * Another replica may have read on, or rewound, since the stream was looked at: then the cursor
 * would look like one of another stream.
 */
static bool knows_less(const struct mesh__link *link, const struct mesh__cursor *cursor)
{
    return mesh__now_ns() - link->seen_ns > LOOK_AGAIN_MS * MESH_NS_PER_MS ||
           cursor->sequence > link->stream.last_sequence ||
           (cursor->created_us != 0 && cursor->created_us != link->stream.created_us);
}

static MESH_STATUS open_share(struct mesh__reader *reader, struct mesh__share *share)
{
    struct mesh_ctx *ctx = mesh__reader_ctx(reader);
    struct broker_consumer consumer;
    struct mesh__cursor_row row;

    MESH_TRY(mesh__cursor_load(ctx, reader->db, share->partition, share->source, &row));
    if (knows_less(&reader->link, &row.cursor)) {
        MESH_TRY(mesh__link_look(ctx, &reader->link));
    }
    moved(share, &row.cursor);
    mesh__trial_open(share, &row);
    look_for_parked(share, &row);
    share->refusals = 0;
    MESH_TRY(fit(reader, share));
    MESH_TRY(mesh__broker->consumer_open(ctx, reader->link.connection,
                                         reader->events->options.system, share->subject,
                                         share->cursor.sequence + 1, &consumer));
    share->created_us = reader->link.stream.created_us;
    share->open = true;
    mesh__inflow_reset(reader, share, &consumer);
    if (share->cursor.created_us == 0 && reader->link.stream.first_sequence > 0) {
        /* What is no more in the stream when it is first read was not missed. */
        mesh__inflow_assume(reader, share, reader->link.stream.first_sequence - 1);
    }
    mesh__share_measure(reader, share);
    return MESH_OK;
}

/* ---- tending ---- */

/* What waits is only known while the share is open; for how long it may have waited always is. */
void mesh__share_measure(struct mesh__reader *reader, struct mesh__share *share)
{
    int64_t now_ns = mesh__now_ns();

    if (!share->held) { /* another replica shows it */
        mesh_gauge_set(share->lag, 0);
        mesh_gauge_set(share->parked, 0);
        share->current_ns = now_ns;
    }
    if (share->open && mesh__link_up(&reader->link)) {
        uint64_t lag = mesh__inflow_lag(reader, share);

        mesh_gauge_set(share->lag, (double)lag);
        share->current_ns = lag == 0 ? now_ns : share->current_ns;
    }
    mesh_gauge_set(share->behind, (double)(now_ns - share->current_ns) / MESH_NS_PER_S);
}

static void pull(struct mesh__reader *reader, struct mesh__share *share)
{
    uint64_t tag;
    int n = mesh__inflow_wants(reader, share, &tag);

    if (n > 0) {
        /* A pull that cannot be sent is missed as silence, if the connection lasts that long. */
        mesh_ignore(mesh__broker->consumer_pull(mesh__reader_ctx(reader), reader->link.connection,
                                                reader->events->options.system, share->in.consumer,
                                                tag, n));
    }
}

/* Nothing for us lies up to `complete`: the cursor may follow, else it would look like a gap one
 * day. */
static void follow_quietly(struct mesh__reader *reader, struct mesh__share *share)
{
    uint64_t complete = mesh__inflow_quiet(reader, share);
    struct mesh__cursor *to = &share->reached;

    if (complete <= to->sequence) {
        return;
    }
    *to = (struct mesh__cursor){.sequence = complete, .created_us = share->created_us};
    if (mesh__broker->message_identity(mesh__reader_ctx(reader), reader->link.connection,
                                       reader->events->options.system, complete,
                                       &to->at) != MESH_OK) {
        to->at = (struct broker_identity){0};
    }
}

/* A cursor behind what was skipped is written now and then. */
static void write_cursor(struct mesh__reader *reader, struct mesh__share *share)
{
    int64_t since_ns = mesh__now_ns() - share->moved_ns;
    struct mesh__cursor to;

    if (since_ns >= mesh__quiet_ms * MESH_NS_PER_MS) {
        follow_quietly(reader, share);
        share->moved_ns = mesh__now_ns();
        since_ns = SKIPPED_MS * MESH_NS_PER_MS;
    }
    if (share->reached.sequence == share->cursor.sequence ||
        since_ns < SKIPPED_MS * MESH_NS_PER_MS) {
        return;
    }
    to = share->reached;
    mesh__reader_ctx(reader);
    if (mesh__share_move(reader, share, &to) != MESH_OK) {
        /* Another replica did, or the database is away: either shows when there is work. */
        mesh_ignore(mesh__share_resync(reader, share));
        share->moved_ns = mesh__now_ns();
    }
}

/* It is opened again where it was. */
static void break_off(struct mesh__reader *reader, struct mesh__share *share, const char *why)
{
    mesh_counter_add(reader->breaks, 1);
    if (mesh__rarely_now(&share->complaint)) {
        log_share(MESH_LOG_WARN, share, "the deliveries of a share broke off", why);
    }
    mesh__share_close(reader, share);
    share->retry_ns = mesh__in_ms(REOPEN_MS);
}

bool mesh__share_tend(struct mesh__reader *reader, struct mesh__share *share)
{
    const char *broken;

    if (!share->held || mesh__now_ns() < share->retry_ns) {
        return false;
    }
    if (share->open && (broken = mesh__inflow_broken(reader, share)) != NULL) {
        break_off(reader, share, broken);
        return false;
    }
    if (!share->open) {
        enum mesh_status status = open_share(reader, share);

        if (status != MESH_OK) {
            share->retry_ns = mesh__backoff_next(&share->backoff);
            if (status != MESH_ABORTED && mesh__rarely_now(&share->complaint)) {
                log_share(MESH_LOG_WARN, share, "a share cannot be read",
                          mesh_ctx_error(reader->ctx));
            }
            return false;
        }
        share->backoff.last_ms = 0;
    }
    pull(reader, share);
    if (mesh__redrive(reader, share) || mesh__share_read(reader, share)) {
        return true;
    }
    write_cursor(reader, share);
    return false;
}

int64_t mesh__share_due_ns(struct mesh__reader *reader, struct mesh__share *share)
{
    int64_t due_ns = share->retry_ns;
    int64_t other_ns;

    if (!share->held) {
        return MESH_NO_DEADLINE;
    }
    if (!share->open || due_ns > mesh__now_ns()) {
        return due_ns;
    }
    due_ns = mesh__inflow_due_ns(reader, share);
    other_ns = share->moved_ns +
               (share->reached.sequence != share->cursor.sequence ? SKIPPED_MS : mesh__quiet_ms) *
                   MESH_NS_PER_MS;
    due_ns = other_ns < due_ns ? other_ns : due_ns;
    return share->maybe_parked && share->look_ns < due_ns ? share->look_ns : due_ns;
}
