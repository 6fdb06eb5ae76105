/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of requests: one pair a line, the key's first letter before the value. */
#include "fuzz.h"

static const char *key_of(uint8_t letter)
{
    switch (letter) {
    case 't':
        return "traceparent";
    case 's':
        return "tracestate";
    case 'b':
        return "x-something-bin";
    default:
        return "x-correlation-id";
    }
}

static struct mesh__pair *add_pair(struct mesh_ctx *ctx, const uint8_t *line, size_t size)
{
    struct mesh__pair *pair = mesh_alloc(ctx, sizeof(*pair));

    pair->key = key_of(size > 0 ? line[0] : 0);
    pair->size = size > 0 ? size - 1 : 0;
    pair->value = mesh__strndup(ctx, line + (size > 0 ? 1 : 0), pair->size);
    return pair;
}

static void read_pairs(struct mesh_ctx *ctx, const uint8_t *data, size_t size)
{
    struct mesh__pair *first = NULL;
    struct mesh__pair **link = &first;

    while (size > 0) {
        const uint8_t *newline = memchr(data, '\n', size);
        size_t line = newline != NULL ? (size_t)(newline - data) : size;

        *link = add_pair(ctx, data, line);
        link = &(*link)->next;
        line += newline != NULL ? 1 : 0;
        data += line;
        size -= line;
    }
    ctx->scope->request_metadata = first;
}

/* What goes on to peers is what another of us takes. */
static void require_trace(const struct mesh__trace *trace)
{
    struct mesh__trace peers;
    char traceparent[56];

    mesh__trace_format(trace, traceparent);
    mesh__trace_from(&peers, traceparent);
    MUST(strcmp(peers.trace_id, trace->trace_id) == 0);
    MUST(strcmp(peers.parent_id, trace->span_id) == 0);
    MUST(peers.flags == trace->flags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mesh_ctx *ctx = fuzz_ctx();
    struct mesh__trace *trace = &ctx->scope->trace;
    const char *correlation;
    size_t correlation_size = 0;

    read_pairs(ctx, data, size);
    mesh__trace_from(trace, mesh_ctx_metadata(ctx, "traceparent", NULL));
    mesh__trace_take_state(ctx);
    require_trace(trace);
    MUST(trace->state == NULL ||
         mesh__is_metadata_text(trace->state, strlen(trace->state), MESH_TRACESTATE_MAX));
    correlation = mesh_ctx_metadata(ctx, "x-correlation-id", &correlation_size);
    if (correlation != NULL) {
        bool fits = mesh__is_metadata_text(correlation, correlation_size, MESH_CORRELATION_MAX);

        mesh_ctx_set_correlation_id(ctx, correlation); /* events bring any text */
        MUST(!fits || strcmp(mesh_ctx_correlation_id(ctx), correlation) == 0);
        mesh_ctx_add_outgoing_metadata(ctx, "x-copy", correlation, correlation_size);
        MUST(correlation_size == 0 ||
             mesh__is_metadata_text(ctx->scope->outgoing->value, correlation_size, SIZE_MAX));
    }
    mesh__ctx_free(ctx);
    return 0;
}
