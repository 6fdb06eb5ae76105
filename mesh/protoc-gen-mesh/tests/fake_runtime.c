/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_runtime.h"

struct fake_runtime fake;
static char a_client, a_stream, a_call, a_tx;
struct mesh_client *const fake_client = (struct mesh_client *)&a_client;
struct mesh_stream *const fake_stream = (struct mesh_stream *)&a_stream;
struct mesh_call *const fake_call = (struct mesh_call *)&a_call;
struct mesh_tx *const fake_tx = (struct mesh_tx *)&a_tx;

static enum mesh_status answer(ProtobufCMessage **ret_message)
{
    if (fake.status == MESH_OK) {
        *ret_message = fake.answer;
    }
    return fake.status;
}

enum mesh_status mesh_client_call(struct mesh_ctx *ctx, struct mesh_client *client,
                                  const struct mesh_method *method, const ProtobufCMessage *request,
                                  ProtobufCMessage **ret_response)
{
    (void)ctx;
    fake.call = "call";
    fake.object = client;
    fake.method = method;
    fake.message = request;
    return answer(ret_response);
}

struct mesh_call *mesh_client_start(struct mesh_ctx *ctx, struct mesh_client *client,
                                    const struct mesh_method *method,
                                    const ProtobufCMessage *request)
{
    (void)ctx;
    fake.call = "start";
    fake.object = client;
    fake.method = method;
    fake.message = request;
    return fake_call;
}

enum mesh_status mesh_client_wait(struct mesh_ctx *ctx, struct mesh_call *call,
                                  ProtobufCMessage **ret_response)
{
    (void)ctx;
    fake.call = "wait";
    fake.object = call;
    return answer(ret_response);
}

enum mesh_status mesh_client_open(struct mesh_ctx *ctx, struct mesh_client *client,
                                  const struct mesh_method *method, const ProtobufCMessage *request,
                                  struct mesh_stream **ret_stream)
{
    (void)ctx;
    fake.call = "open";
    fake.object = client;
    fake.method = method;
    fake.message = request;
    *ret_stream = fake_stream;
    return fake.status;
}

enum mesh_status mesh_stream_read(struct mesh_ctx *ctx, struct mesh_stream *stream,
                                  ProtobufCMessage **ret_message)
{
    (void)ctx;
    fake.call = "read";
    fake.object = stream;
    return answer(ret_message);
}

enum mesh_status mesh_stream_write(struct mesh_ctx *ctx, struct mesh_stream *stream,
                                   const ProtobufCMessage *message)
{
    (void)ctx;
    fake.call = "write";
    fake.object = stream;
    fake.message = message;
    return fake.status;
}

enum mesh_status mesh_emit(struct mesh_ctx *ctx, struct mesh_tx *tx,
                           const struct mesh_event_type *type, const ProtobufCMessage *event)
{
    (void)ctx;
    fake.call = "emit";
    fake.object = tx;
    fake.event = type;
    fake.message = event;
    return fake.status;
}
