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
    struct mesh_ctx *ctx;     /* that it was opened with */
    struct mesh__rules rules;
    struct mesh__attempt attempt;
    struct wire_message *request; /* of a server streaming call that may be sent again */
    struct mesh_ctx *messages;    /* memory of the message read last */
    /* One batch of each may be under way: the first, the peer's first metadata, the rest. */
    struct mesh__op open, initial, read, write, close, status;
    int64_t begin_ns; /* the peer must have begun to answer by then */
    size_t n_read;
    bool reading;            /* a read was started whose result nobody has taken */
    bool read_ended;         /* the peer's messages are over */
    bool send_closed;        /* ours are */
    enum mesh_status broken; /* we ended it, because of a message; MESH_OK otherwise */
    bool pausing;            /* before another attempt: nothing is on the wire */
    int64_t again_ns;        /* there is none sooner */
    bool cancelled;          /* by its caller */
    bool refused;            /* for good, on this side */
    bool final;              /* enough was tried */
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
    return ctx->deadline_ns < stream->rules.deadline_ns ? ctx->deadline_ns : MESH_NO_DEADLINE;
}

static MESH_STATUS fail_late(struct mesh_ctx *ctx, const struct client_stream *stream)
{
    return mesh_fail(ctx, MESH_DEADLINE_EXCEEDED, "%s: %s did not go on in time",
                     stream->rules.client->name, stream->rules.method->name);
}

/* By the attempt's own timer. */
static void cut(struct client_stream *stream)
{
    stream->attempt.deadline_ns = stream->begin_ns;
    stream->begin_ns = MESH_NO_DEADLINE;
    mesh__wire->call_expire(stream->attempt.wire);
}

static MESH_STATUS await(struct mesh_ctx *ctx, struct client_stream *stream, struct mesh__op *op)
{
    int64_t limit_ns = limit(ctx, stream);

    if (stream->initial.pending && stream->begin_ns < limit_ns) {
        if (mesh__attempt_await(ctx, &stream->attempt, op, stream->begin_ns)) {
            return MESH_OK;
        }
        if (stream->initial.pending) { /* what has begun may last */
            cut(stream);
        }
    }
    return mesh__attempt_await(ctx, &stream->attempt, op, limit_ns) ? MESH_OK
                                                                    : fail_late(ctx, stream);
}

static MESH_STATUS fail_over(struct mesh_ctx *ctx, const struct client_stream *stream)
{
    return mesh_fail(ctx, MESH_CANCELLED, "%s: %s is over", stream->rules.client->name,
                     stream->rules.method->name);
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
        mesh__rules_judge(&stream->rules, MESH__BREAKER_SUCCESS);
    }
    return MESH_OK;
}

/* A message of the peer cannot be used: the call ends here, with status. */
static MESH_STATUS give_up(struct client_stream *stream, enum mesh_status status)
{
    stream->broken = status;
    mesh__attempt_cancel(&stream->attempt);
    return status;
}

static MESH_STATUS unpack(struct mesh_ctx *ctx, struct client_stream *stream,
                          struct wire_message *message, ProtobufCMessage **ret_message)
{
    enum mesh_status status;

    if (stream->messages == NULL) {
        stream->messages = mesh__ctx_new(stream->ctx->scope->service, 0, MESH_NO_DEADLINE);
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
static MESH_STATUS settled(struct mesh_ctx *ctx, const struct client_stream *stream)
{
    const struct mesh__rules *rules = &stream->rules;

    if (stream->broken != MESH_OK) {
        return mesh_fail(ctx, stream->broken, "%s: %s was given up after a bad message",
                         rules->client->name, rules->method->name);
    }
    mesh__attempt_reply(ctx, &stream->attempt);
    MESH_TRY(mesh__attempt_status(ctx, &stream->attempt));
    if (rules->method->kind == MESH_CLIENT_STREAMING && stream->n_read != 1) {
        return mesh_fail(ctx, MESH_INTERNAL, "%s: %s has answered with %zu messages, not with one",
                         rules->client->name, rules->method->name, stream->n_read);
    }
    return MESH_OK;
}

static MESH_STATUS settle(struct mesh_ctx *ctx, struct client_stream *stream)
{
    enum mesh_status status;

    MESH_TRY(await(ctx, stream, &stream->status));
    mesh__attempt_over(&stream->attempt, stream->ctx);
    status = settled(ctx, stream);
    mesh__attempt_tell(&stream->attempt, &stream->rules);
    mesh__rules_judge(&stream->rules, mesh__rules_outcome(ctx, &stream->rules, status));
    if (stream->final && status != MESH_OK) {
        mesh__error_is_final(ctx, "RETRIES_EXHAUSTED", -1);
    }
    return status;
}

/* ---- attempts ----------------------------------------------------------------------------- */

static MESH_STATUS refuse(struct mesh_ctx *ctx, struct client_stream *stream,
                          enum mesh__refusal refusal)
{
    stream->refused = true;
    return mesh__rules_refuse(ctx, &stream->rules, refusal);
}

/* Waits until until_ns, or until something of this thread has changed. */
static MESH_STATUS idle(struct mesh_ctx *ctx, struct client_stream *stream, int64_t until_ns)
{
    int64_t end_ns = stream->rules.deadline_ns;
    int64_t look_ns = mesh__now_ns() + MESH_LOOK_EVERY_MS * MESH_NS_PER_MS;
    const int64_t all_ns[] = {mesh__calls_step(), limit(ctx, stream), end_ns, look_ns};

    for (size_t i = 0; i < sizeof all_ns / sizeof all_ns[0]; i++) {
        until_ns = all_ns[i] < until_ns ? all_ns[i] : until_ns;
    }
    (void)mesh__queue_turn(until_ns);
    if (mesh_ctx_cancelled(ctx)) {
        return refuse(ctx, stream, MESH__REFUSED_CANCELLED);
    }
    if (mesh__now_ns() >= end_ns) {
        return refuse(ctx, stream, MESH__REFUSED_LATE);
    }
    return mesh__now_ns() >= limit(ctx, stream) ? fail_late(ctx, stream) : MESH_OK;
}

static MESH_STATUS pause(struct mesh_ctx *ctx, struct client_stream *stream, int64_t end_ns)
{
    while (mesh__now_ns() < end_ns) {
        MESH_TRY(idle(ctx, stream, end_ns));
    }
    return MESH_OK;
}

static MESH_STATUS pick(struct mesh_ctx *ctx, struct client_stream *stream,
                        enum mesh__picked *ret_picked, struct mesh__endpoint **ret_endpoint)
{
    *ret_picked = mesh__rules_pick(&stream->rules, ret_endpoint);
    return *ret_picked == MESH__PICKED && *ret_endpoint == NULL
               ? refuse(ctx, stream, MESH__REFUSED_REQUESTS)
               : MESH_OK;
}

static MESH_STATUS wait_for_endpoint(struct mesh_ctx *ctx, struct client_stream *stream,
                                     struct mesh__endpoint **ret_endpoint)
{
    const struct mesh__pick *waiting = &stream->rules.pick;
    int64_t end_ns = mesh__in_ms(MESH__CONNECT_MS);
    enum mesh__picked picked = MESH__PICK_WAITS;

    while (picked == MESH__PICK_WAITS && mesh__now_ns() < end_ns) {
        MESH_TRY(idle(ctx, stream, waiting->until_ns < end_ns ? waiting->until_ns : end_ns));
        MESH_TRY(pick(ctx, stream, &picked, ret_endpoint));
    }
    return MESH_OK;
}

/* MESH_OK with *ret_endpoint NULL: there is none in time. */
static MESH_STATUS seek(struct mesh_ctx *ctx, struct client_stream *stream,
                        struct mesh__endpoint **ret_endpoint)
{
    struct mesh__limit *pending = &stream->rules.client->pending;
    enum mesh__picked picked;
    enum mesh_status status;

    MESH_TRY(pick(ctx, stream, &picked, ret_endpoint));
    if (picked != MESH__PICK_WAITS) {
        return MESH_OK;
    }
    if (!mesh__limit_take(pending)) {
        return refuse(ctx, stream, MESH__REFUSED_PENDING);
    }
    status = wait_for_endpoint(ctx, stream, ret_endpoint);
    mesh__limit_give(pending);
    return status;
}

/* The same, with retries. */
static MESH_STATUS find_endpoint(struct mesh_ctx *ctx, struct client_stream *stream,
                                 struct mesh__endpoint **ret_endpoint)
{
    int64_t pause_ns;

    for (;;) {
        MESH_TRY(seek(ctx, stream, ret_endpoint));
        if (*ret_endpoint != NULL) {
            return MESH_OK;
        }
        if (mesh__rules_not_ready(&stream->rules, &pause_ns) != MESH__AGAIN) {
            return refuse(ctx, stream, MESH__REFUSED_NO_ENDPOINT);
        }
        stream->again_ns = mesh__now_ns() + pause_ns;
        MESH_TRY(pause(ctx, stream, stream->again_ns));
    }
}

static MESH_STATUS pass_faults(struct mesh_ctx *ctx, struct client_stream *stream)
{
    int64_t delay_ms;

    if (mesh__rules_fault(&stream->rules, ctx, &delay_ms)) {
        return refuse(ctx, stream, MESH__REFUSED_FAULT);
    }
    return delay_ms > 0 ? pause(ctx, stream, mesh__in_ms(delay_ms)) : MESH_OK;
}

static void send_first(struct client_stream *stream, struct mesh__endpoint *endpoint)
{
    struct mesh__rules *rules = &stream->rules;
    struct wire_batch first = {.ops = WIRE_SEND_INITIAL};
    int64_t per_try_ms = rules->values->per_try_timeout_ms;

    mesh__attempt_start(&stream->attempt, stream->ctx, rules, endpoint, rules->deadline_ns);
    stream->begin_ns =
        per_try_ms > 0 ? mesh__after_ms(stream->attempt.started_ns, per_try_ms) : MESH_NO_DEADLINE;
    if (stream->begin_ns >= rules->deadline_ns) { /* the core sees to that */
        stream->begin_ns = MESH_NO_DEADLINE;
    }
    first.initial = mesh__attempt_metadata(stream->ctx, rules, &first.n_initial);
    if (stream->request != NULL) {
        first.ops |= WIRE_SEND_MESSAGE | WIRE_SEND_CLOSE;
        first.message = stream->request;
        first.keep_message = true;
        stream->send_closed = true;
    }
    mesh__attempt_batch(&stream->attempt, &(struct wire_batch){.ops = WIRE_RECV_STATUS},
                        &stream->status);
    mesh__attempt_batch(&stream->attempt, &first, &stream->open);
    /* The library never completes a status whose initial metadata nobody asks for. */
    mesh__attempt_batch(&stream->attempt, &(struct wire_batch){.ops = WIRE_RECV_INITIAL},
                        &stream->initial);
}

static MESH_STATUS begin(struct mesh_ctx *ctx, struct client_stream *stream)
{
    struct mesh__endpoint *endpoint = NULL;
    enum mesh_status status;

    MESH_TRY(find_endpoint(ctx, stream, &endpoint));
    status = pass_faults(ctx, stream);
    if (status != MESH_OK) {
        mesh__rules_unpick(&stream->rules, endpoint);
        return status;
    }
    send_first(stream, endpoint);
    return MESH_OK;
}

/* Waits for what is under way, which ends with the call, and frees it. */
static void end_attempt(struct client_stream *stream, const char *then)
{
    struct mesh__op *ops[] = {&stream->open,  &stream->initial, &stream->read,
                              &stream->write, &stream->close,   &stream->status};
    const char *pushback;

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        (void)mesh__op_wait(ops[i], MESH_NO_DEADLINE); /* true: it has no limit */
    }
    mesh__attempt_over(&stream->attempt, stream->ctx);
    if (mesh__attempt_was_cut(&stream->attempt)) {
        mesh_counter_add(stream->rules.client->counts.try_timeouts, 1);
    }
    mesh__attempt_leave(&stream->attempt, stream->ctx, mesh__attempt_code(&stream->attempt),
                        mesh__attempt_failure(&stream->attempt, &pushback).ejection, then);
    mesh__attempt_free(&stream->attempt);
}

/* Nothing of it is left. */
static void release(struct client_stream *stream, enum mesh_status end)
{
    struct mesh_stream **link = &stream->ctx->scope->streams;

    while (*link != &stream->base) { /* it is there until it is released */
        link = &of(*link)->next;
    }
    *link = stream->next;
    mesh__rules_end(&stream->rules, end);
    mesh__wire->message_free(stream->request);
    stream->request = NULL;
    mesh__ctx_free(stream->messages);
    stream->messages = NULL;
    stream->end = end;
    stream->finished = true;
}

/* Whether the stream has failed before its first message in a way that is tried again. Once its
 * caller has cancelled it, or has heard of its end, it is not. */
static bool may_try_again(struct client_stream *stream, int64_t *ret_pause_ns)
{
    struct mesh__rules *rules = &stream->rules;
    enum mesh_status status = mesh__attempt_code(&stream->attempt);
    struct mesh__failure failure;
    const char *pushback;
    enum mesh__again again;

    if (stream->request == NULL || rules->judged || stream->cancelled ||
        stream->broken != MESH_OK || status == MESH_OK) {
        return false;
    }
    failure = mesh__attempt_failure(&stream->attempt, &pushback);
    mesh__rules_give_place(rules); /* the next one may need it */
    again = mesh__rules_retry(rules, &failure, pushback, ret_pause_ns);
    stream->final = again == MESH__AGAIN_NO_MORE || (pushback != NULL && pushback[0] == '-');
    return again == MESH__AGAIN;
}

/* Another attempt is to follow this one, which has failed. */
static void keep(struct client_stream *stream)
{
    struct mesh_ctx *ctx = stream->ctx;
    struct mesh__error before = *ctx->scope->error;
    struct mesh__result *last = &stream->rules.last;

    mesh__attempt_tell(&stream->attempt, &stream->rules);
    last->status = mesh__attempt_status(ctx, &stream->attempt);
    last->outcome = mesh__rules_outcome(ctx, &stream->rules, last->status);
    last->error = *ctx->scope->error;
    *ctx->scope->error = before;
}

/* After the end of the peer's messages: the stream pauses if there is to be another attempt. */
static MESH_STATUS end_or_pause(struct mesh_ctx *ctx, struct client_stream *stream)
{
    int64_t pause_ns;

    MESH_TRY(await(ctx, stream, &stream->status));
    mesh__attempt_over(&stream->attempt, stream->ctx);
    if (may_try_again(stream, &pause_ns)) {
        keep(stream);
        end_attempt(stream, "retry");
        stream->read_ended = false;
        stream->pausing = true;
        stream->again_ns = mesh__now_ns() + pause_ns;
    }
    return MESH_OK;
}

/* After the pause: another attempt. Who has less time than that may ask again. */
static MESH_STATUS resume(struct mesh_ctx *ctx, struct client_stream *stream)
{
    enum mesh_status status = stream->cancelled ? refuse(ctx, stream, MESH__REFUSED_CANCELLED)
                                                : pause(ctx, stream, stream->again_ns);

    if (status == MESH_OK) {
        status = begin(ctx, stream);
    }
    if (stream->refused) {
        release(stream, status);
    }
    stream->pausing = status != MESH_OK;
    return status;
}

/* *ret_message NULL: there are no more, or the stream pauses. */
static MESH_STATUS next_message(struct mesh_ctx *ctx, struct client_stream *stream,
                                struct wire_message **ret_message)
{
    *ret_message = NULL;
    if (stream->pausing) {
        MESH_TRY(resume(ctx, stream));
    }
    if (!stream->read_ended) {
        MESH_TRY(receive(ctx, stream, ret_message));
    }
    return *ret_message == NULL ? end_or_pause(ctx, stream) : MESH_OK;
}

static MESH_STATUS client_read(struct mesh_ctx *ctx, struct mesh_stream *base,
                               ProtobufCMessage **ret_message)
{
    struct client_stream *stream = of(base);
    struct wire_message *message;

    if (stream->finished) {
        return fail_over(ctx, stream);
    }
    do {
        MESH_TRY(next_message(ctx, stream, &message));
    } while (stream->pausing);
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

static MESH_STATUS client_finish(struct mesh_ctx *ctx, struct mesh_stream *base)
{
    struct client_stream *stream = of(base);
    struct wire_message *message;
    enum mesh_status status;

    if (stream->finished) {
        return stream->end == MESH_OK
                   ? MESH_OK
                   : mesh_fail(ctx, stream->end, "%s: %s is over", stream->rules.client->name,
                               stream->rules.method->name);
    }
    MESH_TRY(client_close_send(ctx, base));
    do {
        MESH_TRY(next_message(ctx, stream, &message));
        mesh__wire->message_free(message);
    } while (message != NULL || stream->pausing);
    status = settle(ctx, stream);
    end_attempt(stream, "result");
    release(stream, status);
    return status;
}

static void client_cancel(struct mesh_stream *base)
{
    struct client_stream *stream = of(base);

    stream->cancelled = true;
    if (!stream->finished && !stream->pausing) {
        mesh__attempt_cancel(&stream->attempt);
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
        enum mesh_status status = MESH_CANCELLED;

        if (!stream->pausing) {
            (void)mesh__op_wait(&stream->status, MESH_NO_DEADLINE); /* true: it has no limit */
            mesh__attempt_over(&stream->attempt, stream->ctx);
            status = mesh__attempt_code(&stream->attempt);
            end_attempt(stream, "result");
        }
        release(stream, status);
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
    struct client_stream *stream = mesh_alloc(ctx, sizeof *stream);
    enum mesh__refusal refusal;
    enum mesh_status status;

    assert(method->kind != MESH_UNARY);
    assert((request != NULL) == (method->kind == MESH_SERVER_STREAMING));
    stream->base.ops = &client_ops;
    stream->ctx = ctx;
    refusal = mesh__rules_begin(&stream->rules, ctx, client, method);
    if (refusal != MESH__NOT_REFUSED) {
        return mesh__rules_refuse(ctx, &stream->rules, refusal);
    }
    stream->request = request != NULL ? mesh__client_pack(request) : NULL;
    stream->next = ctx->scope->streams;
    ctx->scope->streams = &stream->base;
    status = begin(ctx, stream);
    if (status != MESH_OK) {
        release(stream, status);
        return status;
    }
    *ret_stream = &stream->base;
    return MESH_OK;
}
