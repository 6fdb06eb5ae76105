/* SPDX-License-Identifier: Apache-2.0 */
/* A batch of one share is one transaction: cursor, inbox rows and effects together. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "events/parking.h"
#include "events/trial.h"
#include "events_sql.h"

#include <string.h>

#define BATCH_MS 30000
#define PATIENCE 3 /* transient failures of a batch before its messages are taken one by one */

struct batch {
    struct mesh__reader *reader;
    struct mesh__share *share;
    const struct broker_message *messages[MESH__BATCH];
    struct mesh__letter *letters; /* one for each message */
    int n;
    int n_known; /* letters with an id */
    struct mesh__cursor to;
    bool lost;                     /* the cursor was moved by another replica */
    bool tried;                    /* a handler was called */
    const struct mesh__letter *at; /* the one being handled; NULL: none */
};

static void complain(struct batch *batch, const struct mesh__letter *letter, const char *reason)
{
    struct mesh__share *share = batch->share;

    mesh_counter_add(batch->reader->failed, 1);
    if (mesh__rarely_now(&share->complaint)) {
        mesh_log(MESH_LOG_ERROR,
                 MESH_LOG_FIELDS(mesh_log_text("subject", letter->subject),
                                 mesh_log_text("event_id", letter->id),
                                 mesh_log_int("partition", share->partition),
                                 mesh_log_int("sequence", (int64_t)letter->sequence),
                                 mesh_log_text("reason", reason)),
                 "an event cannot be handled and is tried again");
    }
}

static void read_messages(struct batch *batch)
{
    const struct broker_message *last = batch->messages[batch->n - 1];
    struct mesh_ctx *ctx = batch->reader->ctx;

    batch->letters = mesh_alloc(ctx, (size_t)batch->n * sizeof(*batch->letters));
    for (int i = 0; i < batch->n; i++) {
        const struct broker_message *message = batch->messages[i];

        batch->letters[i] = (struct mesh__letter){.sequence = message->sequence,
                                                  .subject = message->subject,
                                                  .data = message->data,
                                                  .size = message->size};
        mesh__letter_read(ctx, batch->reader, batch->share, &batch->letters[i]);
        batch->n_known += batch->letters[i].id != NULL;
    }
    batch->to = (struct mesh__cursor){.sequence = last->sequence,
                                      .at.time_us = last->time_us,
                                      .created_us = batch->share->created_us};
    strncpy(batch->to.at.id, last->id, sizeof(batch->to.at.id) - 1);
}

/* ---- the transaction ---- */

static void mark_fresh(struct batch *batch, const char *id, int *at)
{
    for (int i = 0; i < batch->n; i++) { /* in the order of the letters, usually */
        struct mesh__letter *letter = &batch->letters[(*at + i) % batch->n];

        if (letter->id != NULL && !letter->fresh && strcmp(letter->id, id) == 0) {
            letter->fresh = true;
            *at = (int)(letter - batch->letters) + 1;
            return;
        }
    }
}

/* Moves the cursor, and learns which events are new and which of those have to wait. */
static MESH_STATUS take(struct batch *batch, struct mesh_tx *tx)
{
    struct mesh_ctx *ctx = batch->reader->ctx;
    const struct mesh__share *share = batch->share;
    const char **ids = mesh_alloc(ctx, (size_t)batch->n_known * sizeof(*ids));
    struct mesh_arg args[MESH__CURSOR_ARGS + 1];
    struct mesh_rows *rows;
    enum mesh_status status;
    size_t n = 0;
    int at = 0;

    for (int i = 0; i < batch->n; i++) {
        if (batch->letters[i].id != NULL) {
            ids[n++] = batch->letters[i].id;
        }
    }
    mesh__cursor_args(share->partition, share->source, &share->cursor, &batch->to, args);
    args[MESH__CURSOR_ARGS] = mesh_uuid_array(ids, n);
    MESH_TRY(mesh_tx_query(ctx, tx, &mesh__sql_take_batch,
                           ((struct mesh_args){args, MESH__CURSOR_ARGS + 1}), &rows));
    status = mesh__cursor_held(ctx, rows);
    if (status != MESH_OK) {
        batch->lost = true;
        return status;
    }
    for (int64_t row = 0; row < mesh_rows_count(rows); row++) {
        if (!mesh_row_is_null(rows, row, 0)) {
            mark_fresh(batch, mesh_row_uuid(rows, row, 0), &at);
        }
    }
    return mesh__park_waiting(batch->reader, share, tx, batch->letters, batch->n);
}

/* The payload first: nothing has been done yet when it does not unpack. */
static MESH_STATUS handle(struct batch *batch, struct mesh__letter *letter, struct mesh_tx *tx)
{
    struct mesh__reader *reader = batch->reader;
    ProtobufCMessage *event;

    if (letter->why == MESH__WHY_NOT) {
        if (mesh__letter_unpack(reader, letter, &event) == MESH_OK) {
            batch->tried = true;
            batch->at = letter;
            return mesh__letter_handle(reader, letter, tx, event);
        }
        letter->why = MESH__WHY_UNREADABLE;
        letter->reason = mesh_strdup(reader->ctx, mesh_ctx_error(reader->event_ctx));
        mesh__park_behind(reader->ctx, letter, letter + 1,
                          (int)(batch->letters + batch->n - letter) - 1);
    }
    batch->at = NULL;
    return mesh__park(reader, batch->share, tx, letter);
}

/* What this transaction finds out by itself. */
static void forget(struct batch *batch)
{
    batch->tried = false;
    batch->at = NULL;
    for (int i = 0; i < batch->n; i++) {
        batch->letters[i].fresh = false;
    }
}

static MESH_STATUS transact(struct batch *batch)
{
    struct mesh_ctx *ctx = batch->reader->ctx;
    cleanup_tx struct mesh_tx *tx = NULL;

    forget(batch);
    MESH_TRY(mesh_tx_begin(ctx, batch->reader->db, &tx));
    MESH_TRY(take(batch, tx));
    for (int i = 0; i < batch->n; i++) {
        if (batch->letters[i].fresh) {
            MESH_TRY(handle(batch, &batch->letters[i], tx));
        }
    }
    batch->at = NULL;
    return mesh_tx_commit(ctx, &tx);
}

/* ---- what comes of it ---- */

static void count(const struct batch *batch)
{
    int fresh = 0;
    int parked = 0;

    for (int i = 0; i < batch->n; i++) {
        const struct mesh__letter *letter = &batch->letters[i];

        fresh += letter->fresh;
        if (letter->fresh && letter->why != MESH__WHY_NOT) {
            parked++;
            mesh__park_tell(batch->share, letter);
        }
    }
    mesh_counter_add(batch->share->handled, (uint64_t)(fresh - parked));
    mesh_counter_add(batch->reader->duplicates, (uint64_t)(batch->n_known - fresh));
    mesh_counter_add(batch->reader->skipped, (uint64_t)(batch->n - batch->n_known));
}

static void finish(struct batch *batch)
{
    struct mesh__share *share = batch->share;

    count(batch);
    share->reached = batch->to;
    if (batch->n_known > 0) { /* else the cursor is written a little later */
        share->cursor = batch->to;
        share->moved_ns = mesh__now_ns();
        mesh__trial_passed(share, batch->n);
    }
    share->failures = 0;
    share->refusals = 0;
    share->backoff.last_ms = 0;
    mesh__inflow_drop(batch->reader, share, batch->to.sequence);
    mesh__share_measure(batch->reader, share);
}

static const char *reason_of(const struct batch *batch)
{
    /* A statement that was only queued fails later: then the text is the transaction's. */
    const char *text = batch->at != NULL ? mesh_ctx_error(batch->reader->event_ctx) : "";

    return text[0] != '\0' ? text : mesh_ctx_error(batch->reader->ctx);
}

/*
 * A transient failure is tried again from the cursor, for as long as it takes. Any other is looked
 * for one message at a time.
 */
static void fail(struct batch *batch, enum mesh_status status)
{
    struct mesh__share *share = batch->share;
    const struct mesh__letter *letter =
        batch->at != NULL ? batch->at : &batch->letters[batch->n - 1];
    bool transient = mesh__is_transient(status);

    mesh__share_measure(batch->reader, share);
    share->failures++;
    if (batch->n > 1 && (!transient || share->failures >= PATIENCE)) {
        share->single_file = batch->to.sequence;
        if (!transient) {
            return; /* not yet known which it is */
        }
    }
    share->retry_ns = mesh__backoff_next(&share->backoff);
    if (!transient || share->failures >= PATIENCE) {
        complain(batch, letter, reason_of(batch));
    }
    mesh__trial_withdraw(batch->reader, share);
    if (status == MESH_UNKNOWN && mesh__share_resync(batch->reader, share) != MESH_OK) {
        /* The database is away. The compare-and-set will tell whether it was committed. */
        return;
    }
}

static void yield_to_other(struct batch *batch)
{
    if (mesh__share_resync(batch->reader, batch->share) != MESH_OK) {
        batch->share->retry_ns = mesh__backoff_next(&batch->share->backoff);
    }
}

/* ---- one message, which is to blame for what happens ---- */

/* Before it is handled. */
static enum mesh_status try_carefully(struct batch *batch)
{
    struct mesh__letter *letter = &batch->letters[0];

    if (letter->id == NULL || letter->why != MESH__WHY_NOT) {
        return MESH_OK;
    }
    if (mesh__trial_convicts(batch->share, letter->id)) {
        letter->why = MESH__WHY_CRASHED;
        letter->reason = MESH__CRASHED_TEXT;
        return MESH_OK;
    }
    return mesh__trial_note(batch->reader, batch->share, letter->id, &batch->lost);
}

/* After it has failed; what was done for it is undone by now. */
static enum mesh_status refuse(struct batch *batch, enum mesh_status status)
{
    struct mesh_ctx *ctx = batch->reader->ctx;

    if (++batch->share->refusals < mesh__park_at) {
        return status;
    }
    batch->letters[0].why = MESH__WHY_REFUSED;
    batch->letters[0].reason = mesh_strdup(ctx, reason_of(batch));
    ctx->deadline_ns = mesh__in_ms(BATCH_MS);
    return transact(batch);
}

static enum mesh_status process(struct batch *batch)
{
    enum mesh_status status = MESH_OK;

    if (mesh__trial_is_on(batch->share)) {
        status = try_carefully(batch);
    }
    if (status == MESH_OK && batch->n_known > 0) {
        status = transact(batch);
        if (status != MESH_OK && batch->n == 1 && batch->tried && !mesh__is_transient(status)) {
            status = refuse(batch, status);
        }
    }
    return status;
}

bool mesh__share_read(struct mesh__reader *reader, struct mesh__share *share)
{
    bool single = mesh__trial_is_on(share) || share->reached.sequence < share->single_file;
    struct batch batch = {.reader = reader, .share = share};
    enum mesh_status status;

    batch.n = mesh__inflow_peek(reader, share, single ? 1 : MESH__BATCH, batch.messages);
    if (batch.n == 0) {
        return false;
    }
    mesh__reader_ctx(reader)->deadline_ns = mesh__in_ms(BATCH_MS);
    read_messages(&batch);
    status = process(&batch);
    if (status == MESH_OK) {
        finish(&batch);
    } else if (batch.lost) {
        yield_to_other(&batch);
    } else {
        fail(&batch, status);
    }
    return true;
}
