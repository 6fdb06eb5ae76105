/* SPDX-License-Identifier: Apache-2.0 */
/* One call on the server: its life, its context and its answer. */
#include "core/clock.h"
#include "rpc/server_impl.h"

#include <stdlib.h>
#include <string.h>

#define INTERNAL_TEXT "internal error"
#define OWN_PAIRS 3 /* of the trailing metadata: details, pushback and mark */

/* ---- life --------------------------------------------------------------------------------- */

void mesh__call_ref(struct server_call *call)
{
    (void)atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
}

static void call_free(struct server_call *call)
{
    struct mesh_server *server = call->method->server;

    if (call->started_ns != 0) {
        (void)atomic_fetch_sub(&call->method->n_running, 1);
    }
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
    ctx->stopping = &call->method->server->stopping;
    ctx->inbound = call->wire;
    ctx->scope->serves = true;
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

    if (error->final && error->status == batch->status) {
        pairs[batch->n_trailing++] = (struct wire_pair){"grpc-retry-pushback-ms", "-1", 2};
    }
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
        (void)mesh__wire->message_data(reply, &call->answer_bytes);
        atomic_fetch_add(&call->method->server->n_untaken, call->answer_bytes);
    } else {
        mesh__wire->message_free(reply);
    }
    if (status != MESH_OK) {
        add_failure(ctx, &batch, trailing);
    }
    /* Tells a status of ours from one that the transport made up. */
    trailing[batch.n_trailing++] = (struct wire_pair){"mesh-status", "1", 1};
    mesh__call_log(call, ctx, status, request);
    atomic_store(&call->answered_ns, mesh__now_ns());
    mesh__call_batch(call, &batch, &call->answered);
}

void mesh__call_refuse(struct server_call *call, struct mesh_ctx *ctx, enum mesh_status status,
                       const char *reason, const char *text)
{
    if (reason != NULL) {
        mesh__server_count_rejected(reason);
    }
    if (call->has_message) { /* the client may take its time for the answer */
        mesh__wire->message_free(mesh__wire->call_take_message(call->wire));
    }
    mesh__call_enter(call, ctx);
    mesh__call_finish(call, ctx, mesh_fail(ctx, status, "%s", text), NULL, NULL);
    mesh__call_leave(ctx);
}

/* ---- unary calls -------------------------------------------------------------------------- */

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
        status = mesh__call_reply(call, ctx, response, &reply);
    }
    mesh__call_finish(call, ctx, status, request, reply);
    mesh__call_leave(ctx); /* its calls to peers end before the call that caused them */
    mesh__call_unref(call);
}
