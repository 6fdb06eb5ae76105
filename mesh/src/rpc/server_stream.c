/* SPDX-License-Identifier: Apache-2.0 */
/* A streaming call on the server: the handler's blocking reads and writes over the queue thread. */
#include "core/clock.h"
#include "core/condition.h"
#include "core/fatal.h"
#include "rpc/server_impl.h"

#include <stdlib.h>

#define DRAIN_MS 500

enum progress { IDLE, UNDER_WAY, DONE };

/* One batch that the handler waits for. */
struct operation {
    struct server_tag tag;
    enum progress progress;
    bool ok; /* once it is done */
};

struct server_stream {
    struct mesh_stream base;
    struct server_call *call;
    struct mesh_ctx *reader; /* memory of the message read last */
    pthread_mutex_t mutex;   /* of what follows, and around what is started on the call */
    pthread_cond_t done;     /* an operation is */
    struct server_tag opened;
    struct operation read, write;
    bool read_ended;
};

static struct server_stream *of(struct mesh_stream *base)
{
    return (struct server_stream *)base;
}

/* ---- on the queue thread ------------------------------------------------------------------ */

static void complete(struct server_stream *stream, struct operation *operation, bool ok)
{
    (void)pthread_mutex_lock(&stream->mutex);
    operation->ok = ok;
    operation->progress = DONE;
    (void)pthread_cond_broadcast(&stream->done);
    (void)pthread_mutex_unlock(&stream->mutex);
}

static void on_read(struct server_call *call, bool ok)
{
    struct server_stream *stream = call->owner;

    complete(stream, &stream->read, ok);
}

static void on_written(struct server_call *call, bool ok)
{
    struct server_stream *stream = call->owner;

    complete(stream, &stream->write, ok);
}

static void on_opened(struct server_call *call, bool ok)
{
    (void)call; /* a failure shows up in the next read or write */
    (void)ok;
}

/* ---- on the handler's thread, with the mutex held ----------------------------------------- */

/* Starts a batch, with the initial metadata if `opening` and that has not been sent. */
static void start(struct mesh_ctx *ctx, struct server_stream *stream, struct wire_batch *batch,
                  struct server_tag *tag)
{
    struct server_call *call = stream->call;

    if (!call->initial_sent && (batch->ops & (WIRE_SEND_INITIAL | WIRE_SEND_MESSAGE))) {
        batch->ops |= WIRE_SEND_INITIAL;
        batch->initial = mesh__call_initial(ctx, &batch->n_initial);
        call->initial_sent = true;
    }
    mesh__call_batch(call, batch, tag);
}

/* A client may wait for the initial metadata before it sends what the handler waits for. */
static void open_stream(struct mesh_ctx *ctx, struct server_stream *stream)
{
    struct wire_batch batch = {.ops = WIRE_SEND_INITIAL};

    if (!stream->call->initial_sent) {
        start(ctx, stream, &batch, &stream->opened);
    }
}

/* Waits until the operation is no longer under way; false at until_ns. */
static bool await(struct server_stream *stream, const struct operation *operation, int64_t until_ns)
{
    while (operation->progress == UNDER_WAY) {
        if (!mesh__condition_wait(&stream->done, &stream->mutex, until_ns)) {
            return operation->progress != UNDER_WAY;
        }
    }
    return true;
}

/* The same for a message; when the server drains, one that does not come soon will not come. */
static bool await_message(const struct mesh_ctx *ctx, struct server_stream *stream)
{
    int64_t until_ns = ctx->deadline_ns;
    bool seen = false;

    for (;;) {
        int64_t look_ns = mesh__in_ms(MESH_LOOK_EVERY_MS);

        if (mesh_ctx_stopping(ctx) && !seen) {
            int64_t soon_ns = mesh__in_ms(DRAIN_MS);

            until_ns = soon_ns < until_ns ? soon_ns : until_ns;
            seen = true;
        }
        if (await(stream, &stream->read, !seen && look_ns < until_ns ? look_ns : until_ns)) {
            return true;
        }
        if (mesh__now_ns() >= until_ns) {
            return false;
        }
    }
}

static MESH_STATUS over(struct mesh_ctx *ctx)
{
    if (mesh__now_ns() >= ctx->deadline_ns) {
        return mesh_fail(ctx, MESH_DEADLINE_EXCEEDED, "the deadline of the stream has passed");
    }
    if (mesh_ctx_stopping(ctx) && !mesh_ctx_cancelled(ctx)) {
        return mesh_fail(ctx, MESH_UNAVAILABLE, "%s", mesh__stopping_text);
    }
    return mesh_fail(ctx, MESH_CANCELLED, "the stream was cancelled");
}

static bool receive_bytes(struct mesh_ctx *ctx, struct server_stream *stream,
                          struct wire_message **ret_bytes)
{
    struct wire_batch batch = {.ops = WIRE_RECV_MESSAGE};

    if (stream->read.progress == IDLE) { /* else one that an earlier wait gave up on */
        stream->read.progress = UNDER_WAY;
        start(ctx, stream, &batch, &stream->read.tag);
    }
    if (!await_message(ctx, stream)) {
        return false;
    }
    stream->read.progress = IDLE;
    if (!stream->read.ok) {
        return false;
    }
    *ret_bytes = mesh__wire->call_take_message(stream->call->wire);
    stream->read_ended = *ret_bytes == NULL;
    return true;
}

static bool send_message(struct mesh_ctx *ctx, struct server_stream *stream,
                         struct wire_message *message)
{
    struct wire_batch batch = {.ops = WIRE_SEND_MESSAGE, .message = message};

    if (!await(stream, &stream->write, ctx->deadline_ns) ||
        (stream->write.progress == DONE && !stream->write.ok)) {
        mesh__wire->message_free(message);
        return false;
    }
    stream->write.progress = UNDER_WAY;
    start(ctx, stream, &batch, &stream->write.tag);
    return await(stream, &stream->write, ctx->deadline_ns) && stream->write.ok;
}

/* ---- on the handler's thread -------------------------------------------------------------- */

static MESH_STATUS server_read(struct mesh_ctx *ctx, struct mesh_stream *base,
                               ProtobufCMessage **ret_message)
{
    struct server_stream *stream = of(base);
    struct wire_message *bytes = NULL;
    ProtobufCMessage *message;
    bool received = true;

    (void)pthread_mutex_lock(&stream->mutex);
    open_stream(ctx, stream);
    if (!stream->read_ended) {
        received = receive_bytes(ctx, stream, &bytes);
    }
    (void)pthread_mutex_unlock(&stream->mutex);
    if (!received) {
        return over(ctx);
    }
    if (bytes == NULL) {
        *ret_message = NULL;
        return MESH_OK;
    }
    mesh__ctx_reset(stream->reader, MESH_NO_DEADLINE);
    MESH_TRY(mesh__call_unpack(stream->call, ctx, stream->reader, bytes, &message));
    if (mesh__call_validate(stream->call, stream->reader, message) != MESH_OK) {
        return mesh__call_validate(stream->call, ctx,
                                   message); /* its details outlive the message */
    }
    *ret_message = message;
    return MESH_OK;
}

static MESH_STATUS server_write(struct mesh_ctx *ctx, struct mesh_stream *base,
                                const ProtobufCMessage *message)
{
    struct server_stream *stream = of(base);
    struct wire_message *bytes = mesh__call_pack(message);
    bool sent;

    (void)pthread_mutex_lock(&stream->mutex);
    sent = send_message(ctx, stream, bytes);
    (void)pthread_mutex_unlock(&stream->mutex);
    return sent ? MESH_OK : over(ctx);
}

static MESH_STATUS server_send_initial_metadata(struct mesh_ctx *ctx, struct mesh_stream *base)
{
    struct server_stream *stream = of(base);

    if (mesh_ctx_cancelled(ctx)) {
        return over(ctx);
    }
    (void)pthread_mutex_lock(&stream->mutex);
    open_stream(ctx, stream);
    (void)pthread_mutex_unlock(&stream->mutex);
    return MESH_OK;
}

/* ---- the call ----------------------------------------------------------------------------- */

static void stream_release(struct server_call *call)
{
    struct server_stream *stream = call->owner;

    (void)pthread_cond_destroy(&stream->done);
    (void)pthread_mutex_destroy(&stream->mutex);
    free(stream);
}

static struct server_stream *stream_new(struct server_call *call, struct mesh_ctx *reader)
{
    static const struct mesh__stream_ops ops[] = {
        [MESH_SERVER_STREAMING] = {.write = server_write,
                                   .send_initial_metadata = server_send_initial_metadata},
        [MESH_CLIENT_STREAMING] = {.read = server_read,
                                   .send_initial_metadata = server_send_initial_metadata},
        [MESH_BIDI_STREAMING] = {.read = server_read,
                                 .write = server_write,
                                 .send_initial_metadata = server_send_initial_metadata},
    };
    struct server_stream *stream = mesh__calloc(1, sizeof(*stream));

    stream->base.ops = &ops[call->method->method->kind];
    stream->call = call;
    stream->reader = reader;
    stream->opened.done = on_opened;
    stream->read.tag.done = on_read;
    stream->write.tag.done = on_written;
    if (pthread_mutex_init(&stream->mutex, NULL) != 0) {
        mesh__fatal("no memory for a mutex");
    }
    mesh__condition_init(&stream->done);
    call->owner = stream;
    call->release = stream_release;
    return stream;
}

/* The one request of a server stream; errors in it are still answered without initial metadata. */
static MESH_STATUS receive_request(struct mesh_ctx *ctx, struct server_stream *stream,
                                   ProtobufCMessage **ret_request)
{
    struct wire_message *bytes = NULL;
    bool received;

    (void)pthread_mutex_lock(&stream->mutex);
    received = receive_bytes(ctx, stream, &bytes);
    (void)pthread_mutex_unlock(&stream->mutex);
    if (!received) {
        return over(ctx);
    }
    MESH_TRY(mesh__call_unpack(stream->call, ctx, ctx, bytes, ret_request));
    return mesh__call_validate(stream->call, ctx, *ret_request);
}

static MESH_STATUS serve(struct mesh_ctx *ctx, struct server_stream *stream,
                         ProtobufCMessage *response, ProtobufCMessage **ret_request)
{
    const struct server_method *method = stream->call->method;

    if (method->method->kind == MESH_SERVER_STREAMING) {
        MESH_TRY(receive_request(ctx, stream, ret_request));
    }
    return method->method->dispatch(ctx, method->handlers, method->state, *ret_request, response,
                                    &stream->base);
}

/* A write that the handler no longer waits for stands before the status: the client does not read.
 */
static void give_up_write(struct server_stream *stream)
{
    (void)pthread_mutex_lock(&stream->mutex);
    if (stream->write.progress == UNDER_WAY) {
        mesh__wire->call_cancel(stream->call->wire);
    }
    while (stream->write.progress == UNDER_WAY) {
        (void)mesh__condition_wait(&stream->done, &stream->mutex, MESH_NO_DEADLINE);
    }
    (void)pthread_mutex_unlock(&stream->mutex);
}

void mesh__stream_run(struct server_call *call, struct mesh_ctx *ctx, struct mesh_ctx *reader)
{
    struct server_stream *stream = stream_new(call, reader);
    struct wire_message *reply = NULL;
    ProtobufCMessage *request = NULL;
    ProtobufCMessage *response = NULL;
    enum mesh_status status;

    mesh__call_enter(call, ctx);
    if (call->method->method->kind == MESH_CLIENT_STREAMING) {
        response = mesh__call_response(call, ctx);
    }
    status = serve(ctx, stream, response, &request);
    give_up_write(stream);
    if (status == MESH_OK && response != NULL) {
        status = mesh__call_reply(call, ctx, response, &reply);
    }
    mesh__call_finish(call, ctx, status, request, reply);
    mesh__ctx_reset(reader, MESH_NO_DEADLINE);
    mesh__call_leave(ctx);
    mesh__call_unref(call);
}
