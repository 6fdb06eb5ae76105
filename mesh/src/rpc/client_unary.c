/* SPDX-License-Identifier: Apache-2.0 */
/* Unary calls: how they are started, waited for and ended. */
#include "rpc/client_unary.h"

#include <assert.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- start and wait ------------------------------------------------------------------------- */

struct mesh_call *mesh_client_start(struct mesh_ctx *ctx, struct mesh_client *client,
                                    const struct mesh_method *method,
                                    const ProtobufCMessage *request)
{
    struct mesh_call *call = mesh_alloc(ctx, sizeof *call);

    assert(method->kind == MESH_UNARY);
    call->ctx = ctx;
    call->refusal = mesh__rules_begin(&call->rules, ctx, client, method);
    if (call->refusal != MESH__NOT_REFUSED) {
        call->state = CALL_DONE;
        call->ended = true;
        return call;
    }
    call->request = mesh__client_pack(request);
    call->next = ctx->scope->calls;
    ctx->scope->calls = call;
    mesh__unary_begin(call);
    return call;
}

static void forget(struct mesh_call *call)
{
    struct mesh_call **link = &call->ctx->scope->calls;

    while (*link != call) { /* it is there until it is forgotten */
        link = &(*link)->next;
    }
    *link = call->next;
    mesh__wire->message_free(call->request);
    call->request = NULL;
}

MESH_STATUS mesh_client_wait(struct mesh_ctx *ctx, struct mesh_call *call,
                             ProtobufCMessage **ret_response)
{
    struct mesh__rules *rules = &call->rules;
    enum mesh_status status;

    assert(ctx->scope == call->ctx->scope); /* its result is in that memory */
    for (;;) {
        int64_t due_ns = mesh__calls_step();

        if (call->state == CALL_DONE) {
            break;
        }
        (void)mesh__queue_turn(due_ns); /* either way there is something to look at */
    }
    if (call->ended) { /* it was refused at once */
        return mesh__rules_refuse(ctx, rules, call->refusal);
    }
    status = call->over.status;
    if (call->result != NULL) {
        mesh__attempt_reply(ctx, &call->result->attempt);
        mesh__unary_free_result(call);
    }
    if (status == MESH_OK) {
        *ret_response = call->response;
    } else {
        mesh__error_put(ctx, &call->over.error);
    }
    call->ended = true;
    mesh__unary_drain(call); /* cancelled hedges end at once */
    mesh__rules_end(rules, status);
    forget(call);
    return status;
}

MESH_STATUS mesh_client_call(struct mesh_ctx *ctx, struct mesh_client *client,
                             const struct mesh_method *method, const ProtobufCMessage *request,
                             ProtobufCMessage **ret_response)
{
    return mesh_client_wait(ctx, mesh_client_start(ctx, client, method, request), ret_response);
}

/* ---- contexts that end ---------------------------------------------------------------------- */

/* Ends what a context's handler has not waited for: all cancelled first, then all awaited. */
static void drain(struct mesh_ctx *ctx)
{
    struct mesh__scope *scope = ctx->scope;

    for (struct mesh_call *call = scope->calls; call != NULL; call = call->next) {
        if (call->state != CALL_DONE) {
            mesh__unary_abandon(call, MESH__REFUSED_CANCELLED);
        }
    }
    mesh__streams_cancel(scope);
    while (scope->calls != NULL) {
        struct mesh_call *call = scope->calls;

        mesh__unary_drain(call);
        if (!call->ended) {
            mesh__rules_end(&call->rules, call->over.status);
        }
        forget(call);
    }
    mesh__streams_drain(scope);
}

static void install_drain(void)
{
    mesh__ctx_drain = drain;
}

void mesh__calls_init(void)
{
    (void)pthread_once(&once, install_drain); /* cannot fail */
}
