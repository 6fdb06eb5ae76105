/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's side of a streaming call. */
#include "core/clock.h"
#include "rpc/client_call.h"
#include "rpc/stream_impl.h"

#include <assert.h>

/*
 * A write that fails tells that the call is over; its status follows at once unless messages of the
 * peer are still unread.
 */
#define STATUS_GRACE_MS 100

struct client_stream {
    struct mesh_stream base;
    struct mesh_stream *next; /* in scope->streams */
    struct mesh__scope *scope;
    struct mesh__attempt attempt;
    struct mesh_ctx *messages; /* memory of the message read last */
    /* One batch of each may be under way: the first, the peer's first metadata, the rest. */
    struct mesh__op open, initial, read, write, close, status;
    size_t n_read;
    bool reading;            /* a read was started whose result nobody has taken */
    bool read_ended;         /* the peer's messages are over */
    bool send_closed;        /* ours are */
    enum mesh_status broken; /* we ended it, because of a message; MESH_OK otherwise */
    bool finished;           /* nothing is left on the wire */
    enum mesh_status end;    /* once finished */
};

static struct client_stream *of(struct mesh_stream *base)
{
    return (struct client_stream *)base;
}

/* Until when to wait: a nearer deadline of this view of the context leaves the call alive. */
static int64_t limit(const struct mesh_ctx *ctx, const struct client_stream *stream)
{
    return ctx->deadline_ns < stream->attempt.deadline_ns ? ctx->deadline_ns : MESH_NO_DEADLINE;
}

static MESH_STATUS await(struct mesh_ctx *ctx, struct client_stream *stream, struct mesh__op *op)
{
    if (mesh__attempt_await(ctx, &stream->attempt, op, limit(ctx, stream))) {
        return MESH_OK;
    }
    return mesh_fail(ctx, MESH_DEADLINE_EXCEEDED, "%s: %s did not go on in time",
                     stream->attempt.client->name, stream->attempt.method->name);
}

static MESH_STATUS fail_over(struct mesh_ctx *ctx, const struct client_stream *stream)
{
    return mesh_fail(ctx, MESH_CANCELLED, "%s: %s is over", stream->attempt.client->name,
                     stream->attempt.method->name);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Receives bytes; *ret_message is NULL at the end of the peer's messages. */
static MESH_STATUS receive(struct mesh_ctx *ctx, struct client_stream *stream,
                           struct wire_message **ret_message)
{
    if (!stream->reading) {
        stream->reading = true;
        mesh__attempt_batch(&stream->attempt, &(struct wire_batch){.ops = WIRE_RECV_MESSAGE},
                            &stream->read);
    }
    MESH_TRY(await(ctx, stream, &stream->read));
    stream->reading = false;
    *ret_message = mesh__wire->call_take_message(stream->attempt.wire);
    if (*ret_message == NULL) {
        stream->read_ended = true;
    } else {
        stream->n_read++;
    }
    return MESH_OK;
}

/* A message of the peer cannot be used: the call ends here, with status. */
static MESH_STATUS give_up(struct client_stream *stream, enum mesh_status status)
{
    stream->broken = status;
    mesh__wire->call_cancel(stream->attempt.wire);
    return status;
}

static MESH_STATUS unpack(struct mesh_ctx *ctx, struct client_stream *stream,
                          struct wire_message *message, ProtobufCMessage **ret_message)
{
    enum mesh_status status;

    if (stream->messages == NULL) {
        stream->messages = mesh__ctx_new(stream->scope->service, 0, MESH_NO_DEADLINE);
    } else {
        mesh__ctx_reset(stream->messages, MESH_NO_DEADLINE);
    }
    status = mesh__attempt_unpack(stream->messages, &stream->attempt, message, ret_message);
    if (status == MESH_OK) {
        return MESH_OK;
    }
    return give_up(stream, mesh_fail(ctx, status, "%s", mesh_ctx_error(stream->messages)));
}

/* The status of the call when all its messages were read. */
static MESH_STATUS settle(struct mesh_ctx *ctx, struct client_stream *stream)
{
    const struct mesh__attempt *attempt = &stream->attempt;

    MESH_TRY(await(ctx, stream, &stream->status));
    if (stream->broken != MESH_OK) {
        return mesh_fail(ctx, stream->broken, "%s: %s was given up after a bad message",
                         attempt->client->name, attempt->method->name);
    }
    MESH_TRY(mesh__attempt_status(ctx, attempt));
    if (attempt->method->kind == MESH_CLIENT_STREAMING && stream->n_read != 1) {
        return mesh_fail(ctx, MESH_INTERNAL, "%s: %s has answered with %zu messages, not with one",
                         attempt->client->name, attempt->method->name, stream->n_read);
    }
    return MESH_OK;
}

static MESH_STATUS client_read(struct mesh_ctx *ctx, struct mesh_stream *base,
                               ProtobufCMessage **ret_message)
{
    struct client_stream *stream = of(base);
    struct wire_message *message = NULL;

    if (stream->finished) {
        return fail_over(ctx, stream);
    }
    if (!stream->read_ended) {
        MESH_TRY(receive(ctx, stream, &message));
    }
    if (message != NULL) {
        return unpack(ctx, stream, message, ret_message);
    }
    /* A call that failed does not look like one whose messages have ended. */
    MESH_TRY(settle(ctx, stream));
    *ret_message = NULL;
    return MESH_OK;
}

/* ---- writing ------------------------------------------------------------------------------ */

static MESH_STATUS write_failed(struct mesh_ctx *ctx, struct client_stream *stream)
{
    int64_t until_ns = mesh__in_ms(STATUS_GRACE_MS);

    if (mesh__attempt_await(ctx, &stream->attempt, &stream->status, until_ns)) {
        MESH_TRY(settle(ctx, stream));
    }
    return fail_over(ctx, stream);
}

static MESH_STATUS client_write(struct mesh_ctx *ctx, struct mesh_stream *base,
                                const ProtobufCMessage *message)
{
    struct client_stream *stream = of(base);
    struct wire_batch batch = {.ops = WIRE_SEND_MESSAGE};

    if (stream->finished || stream->send_closed) {
        return fail_over(ctx, stream);
    }
    MESH_TRY(await(ctx, stream, &stream->write)); /* of a write that was given up */
    batch.message = mesh__client_pack(message);
    mesh__attempt_batch(&stream->attempt, &batch, &stream->write);
    MESH_TRY(await(ctx, stream, &stream->write));
    return stream->write.ok ? MESH_OK : write_failed(ctx, stream);
}

static MESH_STATUS client_close_send(struct mesh_ctx *ctx, struct mesh_stream *base)
{
    struct client_stream *stream = of(base);

    if (stream->finished || stream->send_closed) {
        return MESH_OK;
    }
    MESH_TRY(await(ctx, stream, &stream->write));
    stream->send_closed = true;
    /* Not waited for: if it fails the call is over, which its status will tell. */
    mesh__attempt_batch(&stream->attempt, &(struct wire_batch){.ops = WIRE_SEND_CLOSE},
                        &stream->close);
    return MESH_OK;
}

/* ---- the end ------------------------------------------------------------------------------ */

/* Waits for what is under way, which ends with the call, and gives it back. */
static void release(struct client_stream *stream, enum mesh_status end)
{
    struct mesh__op *ops[] = {&stream->open,  &stream->initial, &stream->read,
                              &stream->write, &stream->close,   &stream->status};
    struct mesh_stream **link = &stream->scope->streams;

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        (void)mesh__op_wait(ops[i], MESH_NO_DEADLINE); /* true: it has no limit */
    }
    while (*link != &stream->base) { /* it is there until it is released */
        link = &of(*link)->next;
    }
    *link = stream->next;
    mesh__attempt_done(&stream->attempt, end);
    mesh__ctx_free(stream->messages);
    stream->messages = NULL;
    stream->end = end;
    stream->finished = true;
}

static MESH_STATUS client_finish(struct mesh_ctx *ctx, struct mesh_stream *base)
{
    struct client_stream *stream = of(base);
    enum mesh_status status;

    if (stream->finished) {
        return stream->end == MESH_OK
                   ? MESH_OK
                   : mesh_fail(ctx, stream->end, "%s: %s is over", stream->attempt.client->name,
                               stream->attempt.method->name);
    }
    MESH_TRY(client_close_send(ctx, base));
    while (!stream->read_ended) {
        struct wire_message *message;

        MESH_TRY(receive(ctx, stream, &message));
        mesh__wire->message_free(message);
    }
    MESH_TRY(await(ctx, stream, &stream->status));
    status = settle(ctx, stream);
    release(stream, status);
    return status;
}

static void client_cancel(struct mesh_stream *base)
{
    struct client_stream *stream = of(base);

    if (!stream->finished) {
        mesh__wire->call_cancel(stream->attempt.wire);
    }
}

void mesh__streams_cancel(struct mesh__scope *scope)
{
    for (struct mesh_stream *stream = scope->streams; stream != NULL; stream = of(stream)->next) {
        client_cancel(stream);
    }
}

void mesh__streams_drain(struct mesh__scope *scope)
{
    while (scope->streams != NULL) {
        struct client_stream *stream = of(scope->streams);

        (void)mesh__op_wait(&stream->status, MESH_NO_DEADLINE); /* true: it has no limit */
        release(stream, mesh__attempt_code(&stream->attempt));
    }
}

/* ---- opening ------------------------------------------------------------------------------ */

static const struct mesh__stream_ops client_ops = {
    .read = client_read,
    .write = client_write,
    .close_send = client_close_send,
    .finish = client_finish,
    .cancel = client_cancel,
};

MESH_STATUS mesh_client_open(struct mesh_ctx *ctx, struct mesh_client *client,
                             const struct mesh_method *method, const ProtobufCMessage *request,
                             struct mesh_stream **ret_stream)
{
    struct client_stream *stream;
    struct wire_batch first = {.ops = WIRE_SEND_INITIAL};
    enum mesh_status refused = mesh__attempt_refused(ctx, ctx->deadline_ns);

    assert(method->kind != MESH_UNARY);
    assert((request != NULL) == (method->kind == MESH_SERVER_STREAMING));
    if (refused != MESH_OK) {
        return mesh__attempt_refuse(ctx, client, method, refused);
    }
    stream = mesh_alloc(ctx, sizeof *stream);
    stream->base.ops = &client_ops;
    stream->scope = ctx->scope;
    mesh__attempt_start(&stream->attempt, ctx, client, method, mesh__now_ns(), ctx->deadline_ns);
    first.initial = mesh__attempt_metadata(ctx, &first.n_initial);
    if (request != NULL) {
        first.ops |= WIRE_SEND_MESSAGE | WIRE_SEND_CLOSE;
        first.message = mesh__client_pack(request);
        stream->send_closed = true;
    }
    mesh__attempt_batch(&stream->attempt, &(struct wire_batch){.ops = WIRE_RECV_STATUS},
                        &stream->status);
    mesh__attempt_batch(&stream->attempt, &first, &stream->open);
    /* The library never completes a status whose initial metadata nobody asks for. */
    mesh__attempt_batch(&stream->attempt, &(struct wire_batch){.ops = WIRE_RECV_INITIAL},
                        &stream->initial);
    stream->next = ctx->scope->streams;
    ctx->scope->streams = &stream->base;
    *ret_stream = &stream->base;
    return MESH_OK;
}
