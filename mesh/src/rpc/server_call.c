/* SPDX-License-Identifier: Apache-2.0 */
/* One call on the server: how it arrives, and how its request and its answer travel. */
#include "core/clock.h"
#include "core/fatal.h"
#include "core/guard.h"
#include "rpc/inflate.h"
#include "rpc/server_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERNAL_TEXT "internal error"
#define ENCODINGS "identity,deflate,gzip"
#define QUEUE_MESSAGE_MAX ((size_t)65536)
#define OWN_PAIRS 2 /* of the trailing metadata: details and mark */

/* ---- life --------------------------------------------------------------------------------- */

void mesh__call_ref(struct server_call *call)
{
    (void)atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
}

static void call_free(struct server_call *call)
{
    struct mesh_server *server = call->method->server;

    if (call->release != NULL) {
        call->release(call);
    }
    mesh__wire->call_free(call->wire);
    free(call);
    if (atomic_fetch_sub(&server->n_calls, 1) == 1) {
        (void)pthread_mutex_lock(&server->mutex);
        (void)pthread_cond_broadcast(&server->no_calls);
        (void)pthread_mutex_unlock(&server->mutex);
    }
}

void mesh__call_unref(struct server_call *call)
{
    if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) == 1) {
        call_free(call);
    }
}

void mesh__call_batch(struct server_call *call, const struct wire_batch *batch,
                      struct server_tag *tag)
{
    mesh__call_ref(call); /* until the tag is back */
    tag->call = call;
    mesh__wire->call_start(call->wire, batch, tag);
}

static void on_answered(struct server_call *call, bool ok)
{
    (void)call; /* whether the client was still there does not matter any more */
    (void)ok;
}

static void on_closed(struct server_call *call, bool ok)
{
    if (!ok || mesh__wire->call_was_cancelled(call->wire)) {
        atomic_store_explicit(&call->cancelled, true, memory_order_release);
    }
    if (call->closed_hook != NULL) {
        call->closed_hook(call);
    }
}

static void set_deadline(struct server_call *call)
{
    const struct mesh_server_options *options = &call->method->server->options;
    int64_t deadline_ns = mesh__wire->call_deadline_ns(call->wire);

    if (call->method->lane == SERVER_WORKER || call->method->lane == SERVER_INLINE) {
        int64_t longest_ns = mesh__in_ms(options->max_deadline_ms);

        if (deadline_ns == MESH_NO_DEADLINE) {
            deadline_ns = mesh__in_ms(options->default_deadline_ms);
        }
        deadline_ns = deadline_ns < longest_ns ? deadline_ns : longest_ns;
    }
    call->deadline_ns = deadline_ns;
}

static void refuse_unknown(struct server_call *call, struct mesh_ctx *ctx)
{
    char text[256];

    (void)snprintf(text, sizeof(text), "method %.200s is not served here",
                   mesh__wire->call_path(call->wire)); /* a long one is cut */
    mesh__call_refuse(call, ctx, MESH_UNIMPLEMENTED, NULL, text);
}

/* To whoever serves it, with a reference of its own. */
static void hand_on(struct server_call *call)
{
    struct mesh_server *server = call->method->server;
    struct mesh_ctx *ctx = call->method->queue->ctx;

    switch (call->method->lane) {
    case SERVER_WORKER:
        mesh__call_ref(call);
        if (!mesh__workers_add(server->workers, call)) {
            mesh__call_refuse(call, ctx, MESH_RESOURCE_EXHAUSTED, "queue_full",
                              "the server has too much to do");
            mesh__call_unref(call);
        }
        break;
    case SERVER_STREAM:
        mesh__call_ref(call);
        if (!mesh__stream_threads_add(server->stream_threads, call)) {
            mesh__call_refuse(call, ctx, MESH_RESOURCE_EXHAUSTED, "stream_limit",
                              "the server has too many streams");
            mesh__call_unref(call);
        }
        break;
    case SERVER_INLINE:
        mesh__call_ref(call);
        mesh__call_run(call, ctx);
        break;
    case SERVER_WATCH:
        mesh__health_watch(call);
        break;
    case SERVER_UNKNOWN:
        refuse_unknown(call, ctx);
        break;
    }
}

static void accept_call(struct server_call *call)
{
    set_deadline(call);
    mesh__wire->call_peer(call->wire, call->peer, sizeof(call->peer)); /* known while it is there */
    mesh__call_started(call->method->metrics);
    mesh__call_batch(call, &(struct wire_batch){.ops = WIRE_RECV_CLOSE}, &call->closed);
    if (mesh__wire->call_message_lost(call->wire)) {
        mesh__call_refuse(call, call->method->queue->ctx, MESH_CANCELLED, "cancelled",
                          "the client went away before its message was complete");
    } else {
        hand_on(call);
    }
}

static void on_requested(struct server_call *call, bool ok)
{
    if (!ok) {
        return; /* the server is shutting down; the reference of the tag was the only one */
    }
    mesh__call_request(call->method);
    call->started_ns = mesh__now_ns();
    accept_call(call);
}

void mesh__call_request(struct server_method *method)
{
    struct server_call *call = mesh__calloc(1, sizeof(*call));

    call->method = method;
    atomic_init(&call->refs, 1); /* the tag's */
    call->requested = (struct server_tag){on_requested, call};
    call->closed.done = on_closed;
    call->answered.done = on_answered;
    (void)atomic_fetch_add(&method->server->n_calls, 1);
    call->wire = mesh__wire->server_request(method->server->wire, method->wire, method->queue->wire,
                                            &call->requested);
    if (call->wire == NULL) {
        call_free(call);
    }
}

/* ---- context ------------------------------------------------------------------------------ */

static void set_identity(struct mesh_ctx *ctx)
{
    struct mesh__scope *scope = ctx->scope;
    size_t size = 0;
    const char *correlation = mesh_ctx_metadata(ctx, "x-correlation-id", &size);

    mesh__trace_from(&scope->trace, mesh_ctx_metadata(ctx, "traceparent", NULL));
    mesh__trace_take_state(ctx);
    if (correlation != NULL && mesh__is_metadata_text(correlation, size, MESH_CORRELATION_MAX)) {
        mesh_ctx_set_correlation_id(ctx, correlation);
    }
    memcpy(scope->causation_id, scope->trace.trace_id, sizeof(scope->trace.trace_id));
}

/* The pairs of the request, in its order. */
static const struct mesh__pair *request_metadata(struct server_call *call, struct mesh_ctx *ctx)
{
    struct mesh__pair *first = NULL;
    struct mesh__pair **link = &first;
    struct wire_pair from;

    for (size_t i = 0; mesh__wire->call_metadata(call->wire, WIRE_REQUEST, i, &from); i++) {
        *link = mesh_alloc(ctx, sizeof(**link));
        **link = (struct mesh__pair){NULL, from.key, from.value, from.size};
        link = &(*link)->next;
    }
    return first;
}

void mesh__call_enter(struct server_call *call, struct mesh_ctx *ctx)
{
    ctx->deadline_ns = call->deadline_ns;
    ctx->cancelled = &call->cancelled;
    ctx->inbound = call->wire;
    ctx->scope->request_metadata = request_metadata(call, ctx);
    set_identity(ctx);
}

void mesh__call_leave(struct mesh_ctx *ctx)
{
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
}

/* ---- answer ------------------------------------------------------------------------------- */

/* Keys that belong to the protocol: one from a handler would break the answer. */
static bool is_reserved(const char *key)
{
    static const char *const keys[] = {"content-type",  "te",           "user-agent",
                                       "connection",    "host",         "content-length",
                                       "mesh-status",   "grpc-status",  "grpc-message",
                                       "grpc-encoding", "grpc-timeout", "grpc-status-details-bin"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return key[0] == ':';
}

/* The list is in reverse order of adding. There is room for n_more behind what is returned. */
static struct wire_pair *to_pairs(struct mesh_ctx *ctx, const struct mesh__pair *list,
                                  size_t n_more, size_t *ret_n)
{
    struct wire_pair *pairs;
    size_t n = 0;
    size_t at;

    for (const struct mesh__pair *pair = list; pair != NULL; pair = pair->next) {
        n += is_reserved(pair->key) ? 0 : 1;
    }
    pairs = mesh_alloc(ctx, (n + n_more) * sizeof(*pairs));
    at = n;
    for (const struct mesh__pair *pair = list; pair != NULL; pair = pair->next) {
        if (!is_reserved(pair->key)) {
            pairs[--at] = (struct wire_pair){pair->key, pair->value, pair->size};
        }
    }
    *ret_n = n;
    return pairs;
}

const struct wire_pair *mesh__call_initial(struct mesh_ctx *ctx, size_t *ret_n)
{
    return to_pairs(ctx, ctx->scope->initial, 0, ret_n);
}

static bool is_secret(enum mesh_status status)
{
    return status == MESH_INTERNAL || status == MESH_UNKNOWN;
}

static void add_failure(struct mesh_ctx *ctx, struct wire_batch *batch, struct wire_pair *pairs)
{
    const struct mesh__error *error = ctx->scope->error;
    size_t size = 0;
    const uint8_t *details;

    if (is_secret(batch->status)) {
        batch->status_text = INTERNAL_TEXT;
        return;
    }
    if (is_secret(error->status)) { /* a handler may hide a failure behind another status */
        return;
    }
    batch->status_text = error->text;
    details = mesh__error_details(ctx, batch->status, &size);
    if (details != NULL) {
        pairs[batch->n_trailing++] = (struct wire_pair){"grpc-status-details-bin", details, size};
    }
}

void mesh__call_finish(struct server_call *call, struct mesh_ctx *ctx, enum mesh_status status,
                       const ProtobufCMessage *request, struct wire_message *reply)
{
    struct wire_batch batch = {.ops = WIRE_SEND_STATUS};
    struct wire_pair *trailing;

    if (status < MESH_OK || status > MESH_UNAUTHENTICATED) {
        status = mesh_fail(ctx, MESH_UNKNOWN, "the handler has returned status %d", (int)status);
    }
    batch.status = status;
    trailing = to_pairs(ctx, ctx->scope->trailing, OWN_PAIRS, &batch.n_trailing);
    batch.trailing = trailing;
    if (!call->initial_sent) {
        batch.ops |= WIRE_SEND_INITIAL;
        batch.initial = mesh__call_initial(ctx, &batch.n_initial);
    }
    if (status == MESH_OK && reply != NULL) {
        batch.ops |= WIRE_SEND_MESSAGE;
        batch.message = reply;
    } else {
        mesh__wire->message_free(reply);
    }
    if (status != MESH_OK) {
        add_failure(ctx, &batch, trailing);
    }
    /* Tells a status of ours from one that the transport made up. */
    trailing[batch.n_trailing++] = (struct wire_pair){"mesh-status", "1", 1};
    mesh__call_log(call, ctx, status, request);
    mesh__call_batch(call, &batch, &call->answered);
}

void mesh__call_refuse(struct server_call *call, struct mesh_ctx *ctx, enum mesh_status status,
                       const char *reason, const char *text)
{
    if (reason != NULL) {
        mesh__server_count_rejected(reason);
    }
    mesh__call_enter(call, ctx);
    mesh__call_finish(call, ctx, mesh_fail(ctx, status, "%s", text), NULL, NULL);
    mesh__call_leave(ctx);
}

/* ---- messages ----------------------------------------------------------------------------- */

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
    mesh__violations_hide(violations, method->request, call->method->server->options.sensitive);
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

ProtobufCMessage *mesh__call_response(const struct server_call *call, struct mesh_ctx *ctx)
{
    const ProtobufCMessageDescriptor *descriptor = call->method->method->response;
    ProtobufCMessage *response = mesh_alloc(ctx, descriptor->sizeof_message);

    protobuf_c_message_init(descriptor, response);
    return response;
}

static MESH_STATUS serve(struct server_call *call, struct mesh_ctx *ctx, ProtobufCMessage *response,
                         ProtobufCMessage **ret_request)
{
    const struct server_method *method = call->method;

    MESH_TRY(
        mesh__call_unpack(call, ctx, ctx, mesh__wire->call_take_message(call->wire), ret_request));
    MESH_TRY(mesh__call_validate(call, ctx, *ret_request));
    return method->method->dispatch(ctx, method->handlers, method->state, *ret_request, response,
                                    NULL);
}

void mesh__call_run(struct server_call *call, struct mesh_ctx *ctx)
{
    struct wire_message *reply = NULL;
    ProtobufCMessage *request = NULL;
    ProtobufCMessage *response;
    enum mesh_status status;

    mesh__call_enter(call, ctx);
    response = mesh__call_response(call, ctx);
    status = serve(call, ctx, response, &request);
    if (status == MESH_OK) {
        reply = mesh__call_pack(response);
    }
    mesh__call_finish(call, ctx, status, request, reply);
    mesh__call_leave(ctx); /* its calls to peers end before the call that caused them */
    mesh__call_unref(call);
}
