/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt of an outgoing call: what is sent first, how it is waited for, what its end means. */
#include "core/clock.h"
#include "core/condition.h"
#include "core/guard.h"
#include "mesh/log.h"
#include "rpc/client_call.h"

#include <string.h>

#define DETAILS "grpc-status-details-bin"
#define OWN_PAIRS 5

void mesh__attempt_start(struct mesh__attempt *attempt, const struct mesh_ctx *ctx,
                         struct mesh__rules *rules, struct mesh__endpoint *endpoint,
                         int64_t deadline_ns)
{
    attempt->rules = rules;
    attempt->number = ++rules->n_attempts;
    attempt->endpoint = endpoint;
    attempt->started_ns = mesh__now_ns();
    attempt->deadline_ns = deadline_ns;
    attempt->ended_ns = 0;
    attempt->cancelled = false;
    attempt->wire = mesh__wire->call_new(mesh__endpoint_channel(endpoint), ctx->inbound,
                                         mesh__client_queue(), rules->method->path, deadline_ns);
}

/* What the runtime sends itself; returns how many. */
static size_t own_pairs(struct mesh_ctx *ctx, const struct mesh__rules *rules,
                        struct wire_pair *pairs)
{
    const struct mesh__scope *scope = ctx->scope;
    char *traceparent = mesh_alloc(ctx, 56);
    size_t size = strlen(scope->correlation_id);
    size_t fault_size;
    const char *fault = mesh_ctx_metadata(ctx, MESH__FAULT, &fault_size);
    size_t n = 0;

    mesh__trace_format(&scope->trace, traceparent);
    pairs[n++] = (struct wire_pair){"traceparent", traceparent, strlen(traceparent)};
    if (scope->trace.state != NULL) {
        pairs[n++] =
            (struct wire_pair){"tracestate", scope->trace.state, strlen(scope->trace.state)};
    }
    /* A correlation id may be any text; one that no header can carry stays here. */
    if (mesh__is_metadata_text(scope->correlation_id, size, MESH_CORRELATION_MAX)) {
        pairs[n++] = (struct wire_pair){"x-correlation-id", scope->correlation_id, size};
    }
    if (rules->once || rules->retries > 0) {
        pairs[n++] = (struct wire_pair){MESH__RETRIED, "1", 1};
    }
    if (fault != NULL) {
        pairs[n++] = (struct wire_pair){MESH__FAULT, fault, fault_size};
    }
    return n;
}

const struct wire_pair *mesh__attempt_metadata(struct mesh_ctx *ctx,
                                               const struct mesh__rules *rules, size_t *ret_n)
{
    const struct mesh__pair *outgoing = ctx->scope->outgoing;
    struct wire_pair *pairs;
    size_t n = 0;

    for (const struct mesh__pair *pair = outgoing; pair != NULL; pair = pair->next) {
        n++;
    }
    pairs = mesh_alloc(ctx, (OWN_PAIRS + n) * sizeof *pairs);
    *ret_n = own_pairs(ctx, rules, pairs) + n;
    /* The list is in reverse order of adding; the peer sees the order of adding. */
    n = *ret_n;
    for (const struct mesh__pair *pair = outgoing; pair != NULL; pair = pair->next) {
        pairs[--n] = (struct wire_pair){pair->key, pair->value, pair->size};
    }
    return pairs;
}

void mesh__attempt_batch(const struct mesh__attempt *attempt, const struct wire_batch *batch,
                         struct mesh__op *op)
{
    op->pending = true;
    op->ok = false;
    mesh__wire->call_start(attempt->wire, batch, op);
}

void mesh__attempt_cancel(struct mesh__attempt *attempt)
{
    attempt->cancelled = true;
    mesh__wire->call_cancel(attempt->wire);
}

bool mesh__attempt_await(const struct mesh_ctx *ctx, struct mesh__attempt *attempt,
                         struct mesh__op *op, int64_t until_ns)
{
    /* An inbound call hands its cancellation on inside the library; other contexts are looked at.
     */
    bool look = ctx->cancelled != NULL && ctx->inbound == NULL;

    for (;;) {
        int64_t wake_ns = until_ns;

        if (look && wake_ns - MESH__LOOK_NS > mesh__now_ns()) {
            wake_ns = mesh__now_ns() + MESH__LOOK_NS;
        }
        if (mesh__op_wait(op, wake_ns)) {
            return true;
        }
        if (mesh_ctx_cancelled(ctx)) {
            mesh__attempt_cancel(attempt);
            until_ns = MESH_NO_DEADLINE; /* the end is near */
        } else if (mesh__now_ns() >= until_ns) {
            return false;
        }
    }
}

/* ---- the end ------------------------------------------------------------------------------ */

/* Appends copies of one kind of metadata at *end; returns the new end. */
static struct mesh__pair **copy_metadata(struct mesh_ctx *ctx, struct wire_call *wire,
                                         enum wire_metadata_kind kind, struct mesh__pair **end)
{
    struct wire_pair from;

    for (size_t i = 0; mesh__wire->call_metadata(wire, kind, i, &from); i++) {
        struct mesh__pair *pair = mesh_alloc(ctx, sizeof *pair);
        char *value = mesh_alloc(ctx, from.size + 1); /* with a NUL behind */

        memcpy(value, from.value, from.size);
        pair->key = mesh_strdup(ctx, from.key);
        pair->value = value;
        pair->size = from.size;
        *end = pair;
        end = &pair->next;
    }
    return end;
}

void mesh__attempt_reply(struct mesh_ctx *ctx, const struct mesh__attempt *attempt)
{
    struct mesh__pair *first = NULL;
    struct mesh__pair **end = copy_metadata(ctx, attempt->wire, WIRE_INITIAL, &first);

    copy_metadata(ctx, attempt->wire, WIRE_TRAILING, end);
    ctx->scope->reply_metadata = first;
}

/* Finds one of the trailers. */
static bool find_trailer(const struct mesh__attempt *attempt, const char *key,
                         struct wire_pair *ret_pair)
{
    struct wire_pair pair;

    for (size_t i = 0; mesh__wire->call_metadata(attempt->wire, WIRE_TRAILING, i, &pair); i++) {
        if (strcmp(pair.key, key) == 0) {
            *ret_pair = pair;
            return true;
        }
    }
    return false;
}

static bool is_marked(const struct mesh__attempt *attempt)
{
    struct wire_pair mark;

    return find_trailer(attempt, MESH__STATUS_MARK, &mark);
}

/* What the core writes when it ends a call, on this side or on the other. */
static bool says(const struct mesh__attempt *attempt, enum mesh_status status, const char *text)
{
    return mesh__wire->call_status(attempt->wire) == status &&
           strcmp(mesh__wire->call_status_text(attempt->wire), text) == 0 && !is_marked(attempt);
}

static bool is_cancelled(const struct mesh__attempt *attempt)
{
    return says(attempt, MESH_CANCELLED, "CANCELLED");
}

void mesh__attempt_over(struct mesh__attempt *attempt, const struct mesh_ctx *ctx)
{
    int64_t now_ns = mesh__now_ns();
    int64_t until_ns = now_ns;

    if (attempt->ended_ns != 0) {
        return;
    }
    attempt->ended_ns = now_ns;
    if (ctx->inbound != NULL && !attempt->cancelled && is_cancelled(attempt)) {
        until_ns += MESH__LOOK_NS;
    }
    /* The end of an inbound call reaches what was sent for it before it reaches the context: by
     * another thread. What completes meanwhile stays in the queue for who looks at it. */
    while (now_ns < until_ns && !mesh_ctx_cancelled(ctx)) {
        mesh__sleep_until(now_ns + MESH_NS_PER_MS);
        now_ns = mesh__now_ns();
    }
    attempt->cancelled = attempt->cancelled || mesh_ctx_cancelled(ctx);
}

static bool from_transport(const struct mesh__attempt *attempt)
{
    return mesh__transport_text(mesh__wire->call_status_text(attempt->wire)) && !is_marked(attempt);
}

static bool was_cancelled_here(const struct mesh__attempt *attempt)
{
    return attempt->cancelled && is_cancelled(attempt);
}

/* On this side: who says so sooner is the peer. */
static bool ran_out_of_time(const struct mesh__attempt *attempt)
{
    return attempt->ended_ns >= attempt->deadline_ns &&
           says(attempt, MESH_DEADLINE_EXCEEDED, "Deadline Exceeded");
}

bool mesh__attempt_was_cut(const struct mesh__attempt *attempt)
{
    return attempt->deadline_ns < attempt->rules->deadline_ns && ran_out_of_time(attempt);
}

/* What the transport says tells neither which peer nor how long: our texts do. */
static const char *describe(struct mesh_ctx *ctx, const struct mesh__attempt *attempt,
                            enum mesh_status status, const char *text)
{
    const struct mesh__rules *rules = attempt->rules;
    const char *name = rules->client->name;

    if (ran_out_of_time(attempt)) {
        int64_t given_ns = rules->deadline_ns - rules->started_ns + MESH_NS_PER_MS / 2;
        int64_t given_ms = mesh__attempt_was_cut(attempt) ? rules->values->per_try_timeout_ms
                                                          : given_ns / MESH_NS_PER_MS;

        return mesh_printf(ctx, "%s: no answer to %s within %lld ms", name, rules->method->name,
                           (long long)given_ms);
    }
    if (is_cancelled(attempt)) {
        return mesh_printf(ctx, "%s: %s was %s", name, rules->method->name,
                           status == MESH_CANCELLED ? "cancelled" : "dropped by its peer");
    }
    return from_transport(attempt) ? mesh_printf(ctx, "%s: %s", name, text) : text;
}

enum mesh_status mesh__attempt_code(const struct mesh__attempt *attempt)
{
    enum mesh_status status = mesh__wire->call_status(attempt->wire);

    if ((int)status < 0 || status > MESH_UNAUTHENTICATED) { /* the peer may send any number */
        status = MESH_UNKNOWN;
    }
    return was_cancelled_here(attempt) || is_marked(attempt)
               ? status
               : mesh__transport_code(status, mesh__wire->call_status_text(attempt->wire));
}

static struct mesh__failure classify(const struct mesh__attempt *attempt)
{
    if (mesh__attempt_was_cut(attempt)) {
        return mesh__failure_per_try;
    }
    if (was_cancelled_here(attempt)) {
        return mesh__failure_cancelled;
    }
    if (ran_out_of_time(attempt)) {
        return mesh__failure_late;
    }
    return mesh__failure_of(mesh__wire->call_status(attempt->wire),
                            mesh__wire->call_status_text(attempt->wire), is_marked(attempt));
}

struct mesh__failure mesh__attempt_failure(const struct mesh__attempt *attempt,
                                           const char **ret_pushback)
{
    struct mesh__failure failure = classify(attempt);
    struct wire_pair pushback = {NULL, NULL, 0};

    (void)find_trailer(attempt, MESH__PUSHBACK, &pushback); /* without it, it is none */
    *ret_pushback = pushback.value;
    /* One impatient caller ejects it for nobody else. */
    if (failure.ejection == MESH__EJECTION_GATEWAY && !attempt->rules->peers_time &&
        mesh__attempt_code(attempt) == MESH_DEADLINE_EXCEEDED) {
        failure.ejection = MESH__EJECTION_NOTHING;
    }
    return failure;
}

void mesh__attempt_tell(const struct mesh__attempt *attempt, struct mesh__rules *rules)
{
    const char *pushback;

    rules->failure = mesh__attempt_failure(attempt, &pushback);
    /* Details are no help: servers send none of what nobody is to know, and a reason may be of the
     * business. */
    rules->given_up = pushback != NULL && pushback[0] == '-' && is_marked(attempt);
}

MESH_STATUS mesh__attempt_status(struct mesh_ctx *ctx, const struct mesh__attempt *attempt)
{
    enum mesh_status status = mesh__attempt_code(attempt);
    const char *text = mesh__wire->call_status_text(attempt->wire);
    struct wire_pair details = {NULL, NULL, 0};

    if (status == MESH_OK) {
        return MESH_OK;
    }
    (void)find_trailer(attempt, DETAILS, &details); /* without details, it is none */
    mesh__error_from_peer(ctx, status, describe(ctx, attempt, status, text), details.value,
                          details.size);
    return status;
}

MESH_STATUS mesh__attempt_unpack(struct mesh_ctx *ctx, const struct mesh__attempt *attempt,
                                 struct wire_message *message, ProtobufCMessage **ret_message)
{
    enum mesh_status status;
    const uint8_t *bytes;
    size_t size;

    if (mesh__wire->message_encoding(message) != WIRE_PLAIN) {
        mesh__wire->message_free(message);
        return mesh_fail(ctx, MESH_INTERNAL, "%s: the answer to %s is compressed, not asked for",
                         attempt->rules->client->name, attempt->rules->method->name);
    }
    bytes = mesh__wire->message_data(message, &size);
    status = mesh__unpack(ctx, attempt->rules->method->response, bytes, size, ret_message);
    mesh__wire->message_free(message);
    if (status == MESH_OK) {
        return MESH_OK;
    }
    return mesh_fail(ctx, status == MESH_RESOURCE_EXHAUSTED ? status : MESH_INTERNAL,
                     "%s: bad answer to %s: %s", attempt->rules->client->name,
                     attempt->rules->method->name, mesh_ctx_error(ctx));
}

void mesh__attempt_leave(struct mesh__attempt *attempt, const struct mesh_ctx *ctx,
                         enum mesh_status status, enum mesh__ejection_result result,
                         const char *again)
{
    const struct mesh__rules *rules = attempt->rules;
    struct mesh_client *client = rules->client;
    bool told = result != MESH__EJECTION_GOOD && result != MESH__EJECTION_NOTHING;

    mesh_counter_add(client->counts.attempts[status], 1);
    mesh_log(
        told ? MESH_LOG_INFO : MESH_LOG_DEBUG,
        MESH_LOG_FIELDS(mesh_log_text("destination", client->name),
                        mesh_log_text("method", rules->method->path),
                        mesh_log_text("endpoint", mesh__endpoint_address(attempt->endpoint)),
                        mesh_log_text("code", mesh_status_name(status)),
                        mesh_log_int("ms", (mesh__now_ns() - attempt->started_ns) / MESH_NS_PER_MS),
                        mesh_log_int("number", attempt->number), mesh_log_text("then", again),
                        mesh_log_text("correlation_id", mesh_ctx_correlation_id(ctx)),
                        mesh_log_text("trace_id", mesh_ctx_trace_id(ctx))),
        "attempt");
    if (status == MESH_RESOURCE_EXHAUSTED) {
        mesh__endpoint_burden(attempt->endpoint);
    }
    mesh__endpoints_leave(client->endpoints, attempt->endpoint, result);
    mesh__limit_give(&client->requests);
    attempt->endpoint = NULL;
    if (result == MESH__EJECTION_BOTH) { /* perhaps it has moved */
        mesh__endpoints_look_up(client->endpoints);
    }
}

void mesh__attempt_free(struct mesh__attempt *attempt)
{
    mesh__wire->call_free(attempt->wire);
    attempt->wire = NULL;
}

struct wire_message *mesh__client_pack(const ProtobufCMessage *message)
{
    uint8_t *data;
    struct wire_message *packed =
        mesh__wire->message_new(protobuf_c_message_get_packed_size(message), &data);

    protobuf_c_message_pack(message, data);
    return packed;
}
