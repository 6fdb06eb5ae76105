/* SPDX-License-Identifier: Apache-2.0 */
/* Destinations and unary calls to them. */
#include "core/clock.h"
#include "core/fatal.h"
#include "rpc/client_call.h"
#include "rpc/client_impl.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define DEFAULT_TIMEOUT_MS 2000

struct mesh_call {
    struct mesh_call *next; /* in scope->calls */
    struct mesh__scope *scope;
    struct mesh__attempt attempt;
    struct mesh__op op;
    const struct mesh_client *client;
    const struct mesh_method *method;
    enum mesh_status refused; /* MESH_OK: it was sent */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Ends what a context's handler has not waited for: all cancelled first, then all awaited. */
static void drain(struct mesh_ctx *ctx)
{
    struct mesh__scope *scope = ctx->scope;

    for (struct mesh_call *call = scope->calls; call != NULL; call = call->next) {
        mesh__wire->call_cancel(call->attempt.wire);
    }
    mesh__streams_cancel(scope);
    while (scope->calls != NULL) {
        struct mesh_call *call = scope->calls;

        scope->calls = call->next;
        (void)mesh__op_wait(&call->op, MESH_NO_DEADLINE); /* true: it has no limit */
        mesh__attempt_done(&call->attempt, mesh__attempt_code(&call->attempt));
    }
    mesh__streams_drain(scope);
}

static void install_drain(void)
{
    mesh__ctx_drain = drain;
}

struct mesh_client *mesh_client_new(const char *name, const char *target, int64_t timeout_ms)
{
    struct mesh_client *client = mesh__calloc(1, sizeof *client);

    (void)pthread_once(&once, install_drain); /* cannot fail */
    client->name = mesh__strdup(name);
    client->timeout_ms = timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS;
    mesh__wire->start();
    client->channel =
        mesh__wire->channel_new(target, &(struct wire_channel_options){.authority = NULL});
    return client;
}

void mesh_client_free(struct mesh_client *client)
{
    if (client == NULL) {
        return;
    }
    mesh__wire->channel_free(client->channel);
    mesh__wire->stop();
    mesh__client_metrics_free(client);
    free(client->name);
    free(client);
}

struct mesh_call *mesh_client_start(struct mesh_ctx *ctx, struct mesh_client *client,
                                    const struct mesh_method *method,
                                    const ProtobufCMessage *request)
{
    struct mesh_call *call = mesh_alloc(ctx, sizeof *call);
    int64_t started_ns = mesh__now_ns();
    int64_t deadline_ns = mesh__after_ms(started_ns, client->timeout_ms);
    struct wire_batch batch = {.ops = WIRE_SEND_INITIAL | WIRE_SEND_MESSAGE | WIRE_SEND_CLOSE |
                                      WIRE_RECV_INITIAL | WIRE_RECV_MESSAGE | WIRE_RECV_STATUS};

    assert(method->kind == MESH_UNARY);
    if (ctx->deadline_ns < deadline_ns) {
        deadline_ns = ctx->deadline_ns;
    }
    call->client = client;
    call->method = method;
    call->scope = ctx->scope;
    call->refused = mesh__attempt_refused(ctx, deadline_ns);
    if (call->refused != MESH_OK) {
        return call;
    }
    mesh__attempt_start(&call->attempt, ctx, client, method, started_ns, deadline_ns);
    batch.initial = mesh__attempt_metadata(ctx, &batch.n_initial);
    batch.message = mesh__client_pack(request);
    mesh__attempt_batch(&call->attempt, &batch, &call->op);
    call->next = ctx->scope->calls;
    ctx->scope->calls = call;
    return call;
}

static void forget(struct mesh_call *call)
{
    struct mesh_call **link = &call->scope->calls;

    while (*link != call) { /* it is there until it was waited for */
        link = &(*link)->next;
    }
    *link = call->next;
}

/* The status of a call that has completed and, if that is MESH_OK, its response. */
static MESH_STATUS result(struct mesh_ctx *ctx, const struct mesh_call *call,
                          ProtobufCMessage **ret_response)
{
    struct wire_message *message;

    MESH_TRY(mesh__attempt_status(ctx, &call->attempt));
    message = mesh__wire->call_take_message(call->attempt.wire);
    if (message == NULL) {
        return mesh_fail(ctx, MESH_INTERNAL, "%s: the answer to %s has no message",
                         call->client->name, call->method->name);
    }
    return mesh__attempt_unpack(ctx, &call->attempt, message, ret_response);
}

MESH_STATUS mesh_client_wait(struct mesh_ctx *ctx, struct mesh_call *call,
                             ProtobufCMessage **ret_response)
{
    enum mesh_status status;

    if (call->refused != MESH_OK) {
        return mesh__attempt_refuse(ctx, call->client, call->method, call->refused);
    }
    /* Without a limit of our own: the call's deadline ends it. */
    (void)mesh__attempt_await(ctx, &call->attempt, &call->op, MESH_NO_DEADLINE);
    forget(call);
    status = result(ctx, call, ret_response);
    mesh__attempt_done(&call->attempt, status);
    return status;
}

MESH_STATUS mesh_client_call(struct mesh_ctx *ctx, struct mesh_client *client,
                             const struct mesh_method *method, const ProtobufCMessage *request,
                             ProtobufCMessage **ret_response)
{
    return mesh_client_wait(ctx, mesh_client_start(ctx, client, method, request), ret_response);
}
