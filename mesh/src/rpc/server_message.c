/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of calls on the server: from bytes to a request, from a response to bytes. */
#include "core/guard.h"
#include "rpc/inflate.h"
#include "rpc/server_impl.h"

#include <stdlib.h>
#include <string.h>

#define ENCODINGS "identity,deflate,gzip"
#define SMALL_ANSWER ((size_t)16384) /* there is always room for it */
#define QUEUE_MESSAGE_MAX ((size_t)65536)

/* The queue thread has no time for large messages, and what it serves has none. */
static size_t message_limit(const struct server_call *call)
{
    const struct server_method *method = call->method;
    size_t limit = (size_t)method->server->options.max_message_bytes;
    bool on_queue = method->lane == SERVER_INLINE || method->lane == SERVER_WATCH;

    return on_queue && limit > QUEUE_MESSAGE_MAX ? QUEUE_MESSAGE_MAX : limit;
}

static MESH_STATUS inflate_message(struct mesh_ctx *ctx, enum wire_encoding encoding,
                                   const uint8_t *bytes, size_t size, size_t limit,
                                   struct mesh__text *out)
{
    enum mesh_status status;

    if (encoding == WIRE_OTHER) {
        mesh_ctx_add_trailing_metadata(ctx, "grpc-accept-encoding", ENCODINGS, strlen(ENCODINGS));
        return mesh_fail(ctx, MESH_UNIMPLEMENTED, "the message is compressed by none of %s",
                         ENCODINGS);
    }
    status = mesh__inflate(encoding, bytes, size, limit, out);
    if (status == MESH_RESOURCE_EXHAUSTED) {
        return mesh_fail(ctx, status, "the message inflates to more than %zu bytes", limit);
    }
    return status == MESH_OK ? MESH_OK
                             : mesh_fail(ctx, status, "the compressed message is not whole");
}

/* Fails in ctx. */
static MESH_STATUS unpack_message(const struct server_call *call, struct mesh_ctx *ctx,
                                  struct mesh_ctx *memory, struct wire_message *message,
                                  ProtobufCMessage **ret_message)
{
    enum wire_encoding encoding = mesh__wire->message_encoding(message);
    size_t limit = message_limit(call);
    struct mesh__text inflated = {0};
    size_t size;
    const uint8_t *bytes = mesh__wire->message_data(message, &size);
    enum mesh_status status = MESH_OK;

    if (size > limit) {
        return mesh_fail(ctx, MESH_RESOURCE_EXHAUSTED, "the message has %zu bytes, more than %zu",
                         size, limit);
    }
    if (encoding != WIRE_PLAIN) {
        status = inflate_message(ctx, encoding, bytes, size, limit, &inflated);
        bytes = (const uint8_t *)inflated.bytes;
        size = inflated.size;
    }
    if (status == MESH_OK) {
        status = mesh__unpack(memory, call->method->method->request, bytes, size, ret_message);
        if (status != MESH_OK && memory != ctx) {
            status = mesh_fail(ctx, status, "%s", mesh_ctx_error(memory));
        }
    }
    free(inflated.bytes);
    return status;
}

MESH_STATUS mesh__call_unpack(const struct server_call *call, struct mesh_ctx *ctx,
                              struct mesh_ctx *memory, struct wire_message *bytes,
                              ProtobufCMessage **ret_message)
{
    enum mesh_status status;

    if (bytes == NULL) { /* as grpc's statuscodes.md has it */
        return mesh_fail(ctx, MESH_UNIMPLEMENTED,
                         "the request has no message, or one that was cut off");
    }
    status = unpack_message(call, ctx, memory, bytes, ret_message);
    mesh__wire->message_free(bytes);
    return status;
}

MESH_STATUS mesh__call_validate(const struct server_call *call, struct mesh_ctx *ctx,
                                const ProtobufCMessage *request)
{
    const struct mesh_method *method = call->method->method;
    struct mesh_violations *violations;

    if (method->validate == NULL) {
        return MESH_OK;
    }
    violations = mesh__violations_new(ctx);
    mesh__violations_hide(violations, method->request, call->method->type->sensitive);
    method->validate(violations, request);
    return mesh__violations_fail(ctx, violations);
}

struct wire_message *mesh__call_pack(const ProtobufCMessage *message)
{
    uint8_t *data;
    struct wire_message *packed =
        mesh__wire->message_new(protobuf_c_message_get_packed_size(message), &data);

    (void)protobuf_c_message_pack(message, data); /* as much as there is room for */
    return packed;
}

MESH_STATUS mesh__call_reply(const struct server_call *call, struct mesh_ctx *ctx,
                             const ProtobufCMessage *response, struct wire_message **ret_reply)
{
    const struct mesh_server *server = call->method->server;
    size_t size = protobuf_c_message_get_packed_size(response);

    if (size > SMALL_ANSWER &&
        atomic_load(&server->n_untaken) + size > 2 * server->options.memory_bytes) {
        return mesh_fail(ctx, MESH_RESOURCE_EXHAUSTED,
                         "clients do not take their answers, and there is no room for this one");
    }
    *ret_reply = mesh__call_pack(response);
    return MESH_OK;
}

ProtobufCMessage *mesh__call_response(const struct server_call *call, struct mesh_ctx *ctx)
{
    const ProtobufCMessageDescriptor *descriptor = call->method->method->response;
    ProtobufCMessage *response = mesh_alloc(ctx, descriptor->sizeof_message);

    protobuf_c_message_init(descriptor, response);
    return response;
}
