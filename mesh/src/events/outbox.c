/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an event into the transaction that makes it true. */
#include "core/ctx_impl.h"
#include "db/db_impl.h"
#include "events/envelope.h"
#include "events/events.h"
#include "events_sql.h"
#include "mesh/event.h"
#include "mesh/id.h"
#include "mesh/time.h"

#include <string.h>

static const char *key_of(const struct mesh_event_type *type, const ProtobufCMessage *event)
{
    const char *key;

    memcpy(&key, (const char *)event + type->key_offset, sizeof(key));
    return key != NULL ? key : "";
}

static void describe(struct mesh_ctx *ctx, const struct mesh_event_type *type,
                     const ProtobufCMessage *event, struct mesh__envelope *ret_envelope)
{
    const struct mesh__scope *scope = ctx->scope;
    char *traceparent = mesh_alloc(ctx, 56);

    mesh__trace_format(&scope->trace, traceparent);
    *ret_envelope = (struct mesh__envelope){
        .id = mesh_new_id(ctx),
        .source = mesh_printf(ctx, "/%s/%s", type->system, type->source),
        .type = type->full_name,
        .subject = key_of(type, event),
        .correlation_id = key_of(type, event),
        .causation_id =
            scope->causation_id[0] != '\0' ? scope->causation_id : scope->trace.trace_id,
        .traceparent = traceparent,
        .time_us = mesh_now_us(),
        .has_version = type->version_offset >= 0};
    if (type->version_offset >= 0) {
        memcpy(&ret_envelope->version, (const char *)event + type->version_offset,
               sizeof(ret_envelope->version));
    }
}

/* Packs the event; refuses early what cannot fit, before memory is taken for it. */
static MESH_STATUS pack(struct mesh_ctx *ctx, const struct mesh_event_type *type,
                        const ProtobufCMessage *event, struct mesh__envelope *envelope)
{
    size_t size = protobuf_c_message_get_packed_size(event);
    uint8_t *payload;

    if (size > MESH_ENVELOPE_MAX) {
        return mesh_fail(ctx, MESH_INTERNAL, "event %s of %zu bytes is larger than %zu",
                         type->full_name, size, MESH_ENVELOPE_MAX);
    }
    payload = mesh_alloc(ctx, size);
    envelope->payload_size = protobuf_c_message_pack(event, payload);
    envelope->payload = payload;
    return MESH_OK;
}

MESH_STATUS mesh_emit(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct mesh_event_type *type,
                      const ProtobufCMessage *event)
{
    struct mesh__envelope envelope;
    const uint8_t *bytes;
    const char *subject;
    size_t size;

    describe(ctx, type, event, &envelope);
    if (envelope.subject[0] == '\0') {
        return mesh_fail(ctx, MESH_INTERNAL, "event %s: its key is empty", type->full_name);
    }
    MESH_TRY(pack(ctx, type, event, &envelope));
    MESH_TRY(mesh__envelope_encode(ctx, &envelope, &bytes, &size));
    subject = mesh_printf(ctx, "%s.%d.%s.%s", type->system, mesh__partition(envelope.subject),
                          type->source, type->name);
    MESH_TRY(mesh_tx_exec(ctx, tx, &mesh__sql_insert_outbox,
                          MESH_ARGS(mesh_uuid(envelope.id), mesh_text(subject),
                                    mesh_text(envelope.subject), mesh_bytes(bytes, size))));
    mesh__tx_mark(tx);
    return MESH_OK;
}

const char *mesh_ctx_event_id(const struct mesh_ctx *ctx)
{
    return ctx->scope->event_id != NULL ? ctx->scope->event_id : "";
}

int64_t mesh_ctx_event_time_us(const struct mesh_ctx *ctx)
{
    return ctx->scope->event_time_us;
}
