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

/* The status of a call that is done and, if that is MESH_OK, its response. */
static MESH_STATUS result_of(struct mesh_ctx *ctx, struct mesh_call *call,
                             ProtobufCMessage **ret_response)
{
    struct mesh__rules *rules = &call->rules;
    const struct mesh__attempt *attempt;
    struct wire_message *message;

    if (call->result == NULL) {
        return mesh__rules_refuse(ctx, rules, call->refusal);
    }
    attempt = &call->result->attempt;
    if (rules->cut) {
        return mesh_fail(ctx, MESH_DEADLINE_EXCEEDED, "%s: no answer to %s within %lld ms",
                         rules->client->name, rules->method->name,
                         (long long)rules->values->per_try_timeout_ms);
    }
    MESH_TRY(mesh__attempt_status(ctx, attempt));
    message = mesh__wire->call_take_message(attempt->wire);
    if (message == NULL) {
        return mesh_fail(ctx, MESH_INTERNAL, "%s: the answer to %s has no message",
                         rules->client->name, rules->method->name);
    }
    return mesh__attempt_unpack(ctx, attempt, message, ret_response);
}

MESH_STATUS mesh_client_wait(struct mesh_ctx *ctx, struct mesh_call *call,
                             ProtobufCMessage **ret_response)
{
    struct mesh__rules *rules = &call->rules;
    enum mesh_status status;

    for (;;) {
        int64_t due_ns = mesh__calls_step();

        if (call->state == CALL_DONE) {
            break;
        }
        (void)mesh__queue_turn(due_ns); /* either way there is something to look at */
    }
    status = result_of(ctx, call, ret_response);
    if (call->ended) { /* it was refused at once */
        return status;
    }
    if (call->result != NULL) {
        mesh__rules_judge(rules, mesh__rules_outcome(ctx, rules, status));
        mesh__unary_free_result(call);
    }
    if (call->final) {
        mesh__error_is_final(ctx, "RETRIES_EXHAUSTED", -1);
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
            mesh__rules_end(&call->rules, MESH_CANCELLED);
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
