/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope of an event, as anybody may have put it into the stream. */
#include "core/utf8.h"
#include "events/envelope.h"
#include "fuzz.h"

static void require_text(const char *text, const char *again)
{
    MUST(strcmp(text, again) == 0);
    MUST(mesh__utf8_valid(text, strlen(text)) == strlen(text));
}

static void write_and_read(struct mesh_ctx *ctx, const struct mesh__envelope *envelope)
{
    struct mesh__envelope again;
    const uint8_t *bytes;
    size_t size;

    /* What we write has narrower bounds than what we read; a type of ours has no slash. */
    if (strchr(envelope->type, '/') != NULL ||
        mesh__envelope_encode(ctx, envelope, &bytes, &size) != MESH_OK) {
        return;
    }
    MUST(mesh__envelope_decode(ctx, bytes, size, &again) == MESH_OK);
    require_text(envelope->id, again.id);
    require_text(envelope->source, again.source);
    require_text(envelope->type, again.type);
    require_text(envelope->subject, again.subject);
    require_text(envelope->correlation_id, again.correlation_id);
    require_text(envelope->causation_id, again.causation_id);
    require_text(envelope->traceparent, again.traceparent);
    MUST(again.time_us == envelope->time_us);
    MUST(again.has_version == envelope->has_version);
    MUST(!again.has_version || again.version == envelope->version);
    MUST(again.payload_size == envelope->payload_size);
    MUST(again.payload_size == 0 ||
         memcmp(again.payload, envelope->payload, again.payload_size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mesh_ctx *ctx = fuzz_ctx();
    struct mesh__envelope envelope;

    if (mesh__envelope_decode(ctx, data, size, &envelope) == MESH_OK) {
        MUST(envelope.id != NULL && envelope.subject != NULL && envelope.type != NULL);
        MUST(envelope.payload_size <= size);
        write_and_read(ctx, &envelope);
    }
    mesh__ctx_free(ctx);
    return 0;
}
