/* SPDX-License-Identifier: Apache-2.0 */
#include "events/letter.h"

#include "core/ctx_impl.h"
#include "core/guard.h"
#include "db/uuid.h"

#include <inttypes.h>
#include <string.h>

static const struct mesh_inbox_entry *find_by_subject(const struct mesh__reader *reader,
                                                      const struct mesh__share *share,
                                                      const char *subject)
{
    const struct mesh_inbox_type *inbox = reader->events->options.inbox;
    const char *name = strrchr(subject, '.');

    for (size_t i = 0; name != NULL && i < inbox->n_entries; i++) {
        const struct mesh_event_type *event = inbox->entries[i].event;

        if (strcmp(event->name, name + 1) == 0 && strcmp(event->source, share->source) == 0) {
            return &inbox->entries[i];
        }
    }
    return NULL;
}

/* A place in a stream has an id, too: UUIDv5 of its sequence in the namespace of its stream. */
static const char *id_of_place(struct mesh_ctx *ctx, const struct mesh__share *share,
                               uint64_t sequence)
{
    uint8_t stream[UUID_BYTES] = {0};
    char *id = mesh_alloc(ctx, UUID_CHARS + 1);

    for (size_t i = 0; i < sizeof(int64_t); i++) {
        stream[i] = (uint8_t)((uint64_t)share->created_us >> (56 - 8 * i));
    }
    mesh__uuid_v5(stream, mesh_printf(ctx, "%" PRIu64, sequence), id);
    return id;
}

static MESH_STATUS read_event(struct mesh_ctx *ctx, struct mesh__letter *letter,
                              const struct mesh_inbox_entry *entry)
{
    struct mesh__envelope *envelope = &letter->envelope;
    char *id = mesh_alloc(ctx, UUID_CHARS + 1);
    uint8_t bytes[UUID_BYTES];

    MESH_TRY(mesh__envelope_decode(ctx, letter->data, letter->size, envelope));
    if (!mesh__uuid_parse(envelope->id, bytes)) {
        return mesh_fail(ctx, MESH_INVALID_ARGUMENT, "its id is no UUID");
    }
    if (strcmp(envelope->type, entry->event->full_name) != 0) {
        return mesh_fail(ctx, MESH_INVALID_ARGUMENT, "it is of type %s, under the subject of %s",
                         envelope->type, entry->event->full_name);
    }
    mesh__uuid_format(bytes, id); /* in lower case, as the database has it */
    letter->id = id;
    /* What has no key is in order with nothing. */
    letter->key = envelope->subject[0] != '\0' ? envelope->subject : letter->id;
    letter->entry = entry;
    return MESH_OK;
}

void mesh__letter_read(struct mesh_ctx *ctx, const struct mesh__reader *reader,
                       const struct mesh__share *share, struct mesh__letter *letter)
{
    const struct mesh_inbox_entry *entry = find_by_subject(reader, share, letter->subject);

    if (entry == NULL || read_event(ctx, letter, entry) == MESH_OK) {
        return;
    }
    letter->why = MESH__WHY_JUNK;
    letter->reason = mesh_strdup(ctx, mesh_ctx_error(ctx));
    letter->id = id_of_place(ctx, share, letter->sequence);
    letter->key = letter->id; /* of its own: it blocks nothing */
}

static struct mesh_ctx *context_of(struct mesh__reader *reader, const struct mesh__letter *letter)
{
    struct mesh_ctx *ctx = reader->event_ctx;
    const struct mesh__envelope *envelope = &letter->envelope;
    struct mesh__scope *scope = ctx->scope;

    mesh__ctx_reset(ctx, reader->ctx->deadline_ns);
    ctx->cancelled = reader->ctx->cancelled;
    scope->event_id = letter->id;
    scope->event_time_us = envelope->time_us;
    mesh_ctx_set_correlation_id(ctx, envelope->correlation_id[0] != '\0' ? envelope->correlation_id
                                                                         : envelope->subject);
    strncpy(scope->causation_id, letter->id, sizeof(scope->causation_id) - 1);
    if (envelope->traceparent[0] != '\0') {
        mesh__trace_from(&scope->trace, envelope->traceparent);
    }
    return ctx;
}

MESH_STATUS mesh__letter_unpack(struct mesh__reader *reader, const struct mesh__letter *letter,
                                ProtobufCMessage **ret_event)
{
    return mesh__unpack(context_of(reader, letter), letter->entry->event->descriptor,
                        letter->envelope.payload, letter->envelope.payload_size, ret_event);
}

MESH_STATUS mesh__letter_handle(struct mesh__reader *reader, const struct mesh__letter *letter,
                                struct mesh_tx *tx, const ProtobufCMessage *event)
{
    const struct mesh_events_options *options = &reader->events->options;

    return letter->entry->dispatch(reader->event_ctx, options->inbox_handlers, options->state, tx,
                                   event);
}
