/* SPDX-License-Identifier: Apache-2.0 */
/* A batch of one share is one transaction: cursor, inbox rows and effects together. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/guard.h"
#include "events/envelope.h"
#include "events/reader.h"
#include "events_sql.h"
#include "mesh/id.h"
#include "mesh/validate.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define BATCH_MS 30000
#define PATIENCE 3 /* transient failures of a batch before its messages are taken one by one */

struct item {
    const struct mesh_inbox_entry *entry; /* NULL: skipped */
    struct mesh__envelope envelope;
    const char *id; /* of the event, lower case */
    bool fresh;     /* not handled before */
};

struct batch {
    struct mesh__reader *reader;
    struct mesh__share *share;
    const struct broker_message *messages[MESH__BATCH];
    struct item *items; /* one for each message */
    int n;
    int n_known; /* items with an entry */
    struct mesh__cursor to;
    bool lost;             /* the cursor was moved by another replica */
    const struct item *at; /* the item being handled; NULL: none */
};

/* ---- reading messages ---- */

static const struct mesh_inbox_entry *find_by_subject(const struct batch *batch,
                                                      const char *subject)
{
    const struct mesh_inbox_type *inbox = batch->reader->events->options.inbox;
    const char *name = strrchr(subject, '.');

    for (size_t i = 0; name != NULL && i < inbox->n_entries; i++) {
        const struct mesh_event_type *event = inbox->entries[i].event;

        if (strcmp(event->name, name + 1) == 0 &&
            strcmp(event->source, batch->share->source) == 0) {
            return &inbox->entries[i];
        }
    }
    return NULL;
}

static const struct mesh_inbox_entry *find_by_type(const struct batch *batch, const char *type)
{
    const struct mesh_inbox_type *inbox = batch->reader->events->options.inbox;

    for (size_t i = 0; i < inbox->n_entries; i++) {
        if (strcmp(inbox->entries[i].event->full_name, type) == 0) {
            return &inbox->entries[i];
        }
    }
    return NULL;
}

static void complain(struct batch *batch, const struct broker_message *message, const char *text,
                     const char *reason)
{
    struct mesh__share *share = batch->share;

    mesh_counter_add(batch->reader->failed, 1);
    if (mesh__rarely_now(&share->complaint)) {
        mesh_log(MESH_LOG_ERROR,
                 MESH_LOG_FIELDS(mesh_log_text("subject", message->subject),
                                 mesh_log_text("event_id", message->id),
                                 mesh_log_int("partition", share->partition),
                                 mesh_log_int("sequence", (int64_t)message->sequence),
                                 mesh_log_text("reason", reason)),
                 "%s", text);
    }
}

/* Events that nobody here asked for, and what is no event at all, get no entry. */
static void read_message(struct batch *batch, const struct broker_message *message,
                         struct item *item)
{
    struct mesh_ctx *ctx = batch->reader->ctx;
    char *id;

    if (find_by_subject(batch, message->subject) == NULL) {
        return;
    }
    if (mesh__envelope_decode(ctx, message->data, message->size, &item->envelope) != MESH_OK) {
        complain(batch, message, "a message that is no event is skipped", mesh_ctx_error(ctx));
        return;
    }
    if (!mesh_is_uuid(item->envelope.id)) {
        complain(batch, message, "an event without a UUID is skipped", item->envelope.id);
        return;
    }
    id = mesh_strdup(ctx, item->envelope.id);
    for (char *at = id; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    item->id = id;
    item->entry = find_by_type(batch, item->envelope.type);
}

static void read_messages(struct batch *batch)
{
    const struct broker_message *last = batch->messages[batch->n - 1];

    batch->items = mesh_alloc(batch->reader->ctx, (size_t)batch->n * sizeof(struct item));
    for (int i = 0; i < batch->n; i++) {
        read_message(batch, batch->messages[i], &batch->items[i]);
        batch->n_known += batch->items[i].entry != NULL;
    }
    batch->to = (struct mesh__cursor){.sequence = last->sequence,
                                      .at.time_us = last->time_us,
                                      .created_us = batch->share->created_us};
    strncpy(batch->to.at.id, last->id, sizeof(batch->to.at.id) - 1);
}

/* ---- the transaction ---- */

static void mark_fresh(struct batch *batch, const char *id, int *at)
{
    for (int i = 0; i < batch->n; i++) { /* in the order of the items, usually */
        struct item *item = &batch->items[(*at + i) % batch->n];

        if (item->entry != NULL && !item->fresh && strcmp(item->id, id) == 0) {
            item->fresh = true;
            *at = (int)(item - batch->items) + 1;
            return;
        }
    }
}

/* Moves the cursor, and learns which events are new. */
static MESH_STATUS take(struct batch *batch, struct mesh_tx *tx)
{
    struct mesh_ctx *ctx = batch->reader->ctx;
    const struct mesh__share *share = batch->share;
    const char **ids = mesh_alloc(ctx, (size_t)batch->n_known * sizeof(*ids));
    struct mesh_arg args[MESH__CURSOR_ARGS + 1];
    struct mesh_rows *rows;
    size_t n = 0;
    int at = 0;

    for (int i = 0; i < batch->n; i++) {
        if (batch->items[i].entry != NULL) {
            ids[n++] = batch->items[i].id;
        }
    }
    mesh__cursor_args(share->partition, share->source, &share->cursor, &batch->to, args);
    args[MESH__CURSOR_ARGS] = mesh_uuid_array(ids, n);
    MESH_TRY(mesh_tx_query(ctx, tx, &mesh__sql_take_batch,
                           ((struct mesh_args){args, MESH__CURSOR_ARGS + 1}), &rows));
    if (mesh_rows_count(rows) == 0) {
        batch->lost = true;
        return mesh_fail(ctx, MESH_ABORTED, "the cursor was moved by another replica");
    }
    for (int64_t row = 0; row < mesh_rows_count(rows); row++) {
        if (!mesh_row_is_null(rows, row, 0)) {
            mark_fresh(batch, mesh_row_uuid(rows, row, 0), &at);
        }
    }
    return MESH_OK;
}

static struct mesh_ctx *context_of(struct batch *batch, const struct item *item)
{
    struct mesh_ctx *ctx = batch->reader->event_ctx;
    const struct mesh__envelope *envelope = &item->envelope;
    struct mesh__scope *scope = ctx->scope;

    mesh__ctx_reset(ctx, batch->reader->ctx->deadline_ns);
    ctx->cancelled = batch->reader->ctx->cancelled;
    scope->event_id = item->id;
    scope->event_time_us = envelope->time_us;
    mesh_ctx_set_correlation_id(ctx, envelope->correlation_id[0] != '\0' ? envelope->correlation_id
                                                                         : envelope->subject);
    strncpy(scope->causation_id, item->id, sizeof(scope->causation_id) - 1);
    if (envelope->traceparent[0] != '\0') {
        mesh__trace_from(&scope->trace, envelope->traceparent);
    }
    return ctx;
}

static MESH_STATUS handle(struct batch *batch, const struct item *item, struct mesh_tx *tx)
{
    const struct mesh_events_options *options = &batch->reader->events->options;
    struct mesh_ctx *ctx = context_of(batch, item);
    ProtobufCMessage *event;

    MESH_TRY(mesh__unpack(ctx, item->entry->event->descriptor, item->envelope.payload,
                          item->envelope.payload_size, &event));
    return item->entry->dispatch(ctx, options->inbox_handlers, options->state, tx, event);
}

static MESH_STATUS transact(struct batch *batch)
{
    struct mesh_ctx *ctx = batch->reader->ctx;
    cleanup_tx struct mesh_tx *tx = NULL;

    MESH_TRY(mesh_tx_begin(ctx, batch->reader->db, &tx));
    MESH_TRY(take(batch, tx));
    for (int i = 0; i < batch->n; i++) {
        if (batch->items[i].fresh) {
            batch->at = &batch->items[i];
            MESH_TRY(handle(batch, batch->at, tx));
        }
    }
    batch->at = NULL;
    return mesh_tx_commit(ctx, &tx);
}

/* ---- what comes of it ---- */

static void count(const struct batch *batch)
{
    int fresh = 0;

    for (int i = 0; i < batch->n; i++) {
        fresh += batch->items[i].fresh;
    }
    mesh_counter_add(batch->share->handled, (uint64_t)fresh);
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
    }
    share->failures = 0;
    share->backoff.last_ms = 0;
    mesh__inflow_drop(batch->reader, share, batch->to.sequence);
    mesh__share_measure(batch->reader, share);
}

static bool is_transient(enum mesh_status status)
{
    return status == MESH_ABORTED || status == MESH_UNAVAILABLE ||
           status == MESH_DEADLINE_EXCEEDED || status == MESH_UNKNOWN || status == MESH_CANCELLED;
}

static const char *reason_of(const struct batch *batch)
{
    /* A statement that was only queued fails later: then the text is the transaction's. */
    const char *text = batch->at != NULL ? mesh_ctx_error(batch->reader->event_ctx) : "";

    return text[0] != '\0' ? text : mesh_ctx_error(batch->reader->ctx);
}

/*
 * A transient failure is tried again from the cursor. Any other is looked for one message at a
 * time; what cannot be handled holds its share, and is tried again and again. (A message that is
 * given up, with the later ones of its key, will be written to dead_letter here.)
 */
static void fail(struct batch *batch, enum mesh_status status)
{
    struct mesh__share *share = batch->share;
    const struct broker_message *message =
        batch->messages[batch->at != NULL ? batch->at - batch->items : batch->n - 1];
    bool transient = is_transient(status);

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
        complain(batch, message, "an event cannot be handled and is tried again", reason_of(batch));
    }
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

bool mesh__share_read(struct mesh__reader *reader, struct mesh__share *share)
{
    bool single = share->reached.sequence < share->single_file;
    struct batch batch = {.reader = reader, .share = share};
    enum mesh_status status = MESH_OK;

    batch.n = mesh__inflow_peek(reader, share, single ? 1 : MESH__BATCH, batch.messages);
    if (batch.n == 0) {
        return false;
    }
    mesh__reader_ctx(reader)->deadline_ns = mesh__in_ms(BATCH_MS);
    read_messages(&batch);
    if (batch.n_known > 0) {
        status = transact(&batch);
    }
    if (status == MESH_OK) {
        finish(&batch);
    } else if (batch.lost) {
        yield_to_other(&batch);
    } else {
        fail(&batch, status);
    }
    return true;
}
