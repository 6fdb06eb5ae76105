/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/client_rules.h"

#include "core/clock.h"
#include "rpc/client_call.h"

#include <string.h>

#define RESERVE_NS (20 * MESH_NS_PER_MS) /* at least; for the caller to record the outcome */
#define RESERVE_PART 10
#define AGAIN_MS 1000 /* when to come again, where nothing tells it better */
#define MILLION 1000000
/*
 * How long a call waits for a place among those that workers have. Healthy calls take milliseconds,
 * so that a crowd gets through; of a peer that hangs nobody waits for longer than people notice.
 */
#define PLACE_MS 100

/* Calls of this thread: while it waits for a place, none of them would go on. */
static _Thread_local int64_t n_under_way;

/* ---- the beginning -------------------------------------------------------------------------- */

static void set_deadline(struct mesh__rules *rules, const struct mesh_ctx *ctx)
{
    int64_t callers_ns = ctx->deadline_ns;

    if (callers_ns != MESH_NO_DEADLINE && rules->client->keeps_reserve &&
        rules->method->kind == MESH_UNARY) {
        int64_t part_ns = (callers_ns - rules->started_ns) / RESERVE_PART;

        callers_ns -= part_ns > RESERVE_NS ? part_ns : RESERVE_NS;
    }
    rules->deadline_ns = rules->values->timeout_ms > 0
                             ? mesh__after_ms(rules->started_ns, rules->values->timeout_ms)
                             : MESH_NO_DEADLINE;
    rules->own_time = rules->deadline_ns <= callers_ns;
    rules->peers_time = rules->own_time;
    if (!rules->own_time) {
        rules->deadline_ns = callers_ns;
    }
}

/* Jobs and programs hold no worker, and take no place. */
static bool take_worker(struct mesh__rules *rules, const struct mesh_ctx *ctx)
{
    rules->waits = ctx->scope->serves;
    return !rules->waits || mesh__limit_take(&rules->client->workers);
}

/* Not for a probe: others are turned away meanwhile. */
static bool wait_for_worker(const struct mesh__rules *rules)
{
    int64_t until_ns = mesh__after_ms(rules->started_ns, PLACE_MS);

    return !rules->pass.probe && n_under_way == 0 &&
           mesh__limit_wait(&rules->client->workers,
                            until_ns < rules->deadline_ns ? until_ns : rules->deadline_ns);
}

static enum mesh__refusal pass_guards(struct mesh__rules *rules, const struct mesh_ctx *ctx)
{
    struct mesh__breaker *breaker = rules->state->breaker;

    if (mesh_ctx_cancelled(ctx)) {
        return MESH__REFUSED_CANCELLED;
    }
    if (rules->started_ns >= rules->deadline_ns) {
        return MESH__REFUSED_LATE;
    }
    if (!mesh__breaker_admit(breaker, &rules->pass, &rules->refused_ms)) {
        return MESH__REFUSED_BREAKER;
    }
    if (take_worker(rules, ctx)) {
        return MESH__NOT_REFUSED;
    }
    mesh__breaker_report(breaker, &rules->pass, MESH__BREAKER_NOTHING);
    if (!wait_for_worker(rules)) {
        return MESH__REFUSED_WORKERS;
    }
    rules->peers_time = false;
    if (!mesh__breaker_admit(breaker, &rules->pass, &rules->refused_ms)) { /* opened meanwhile */
        mesh__limit_give(&rules->client->workers);
        return MESH__REFUSED_BREAKER;
    }
    return MESH__NOT_REFUSED;
}

enum mesh__refusal mesh__rules_begin(struct mesh__rules *rules, const struct mesh_ctx *ctx,
                                     struct mesh_client *client, const struct mesh_method *method)
{
    const struct mesh__destination_policy *destination;
    enum mesh__refusal refusal;

    *rules = (struct mesh__rules){.client = client, .method = method, .refused_ms = AGAIN_MS};
    rules->started_ns = mesh__now_ns();
    rules->policy = mesh__client_policy(client, &destination);
    rules->values = &mesh__policy_method(destination, method)->values;
    rules->state = mesh__client_method(client, method);
    rules->once = mesh_ctx_metadata(ctx, MESH__RETRIED, NULL) != NULL;
    rules->backoff.base_ms = rules->values->backoff_ms;
    rules->pick.queue = mesh__client_queue();
    rules->pick.tag = mesh__client_wake_tag();
    set_deadline(rules, ctx);
    mesh__call_started(rules->state->metrics);
    refusal = pass_guards(rules, ctx);
    if (refusal != MESH__NOT_REFUSED) {
        rules->judged = true; /* it was not let in, or that was taken back */
        mesh_counter_add(client->counts.refusals[refusal], 1);
        mesh__call_handled(rules->state->metrics, mesh__refusal_status(rules, refusal),
                           mesh__now_ns() - rules->started_ns);
        mesh__policy_release(rules->policy);
        return refusal;
    }
    n_under_way++;
    mesh__retry_budget_begin(client->budget);
    if (rules->pass.probe) {
        mesh__endpoints_connect(client->endpoints);
    }
    return MESH__NOT_REFUSED;
}

/* ---- refusals ------------------------------------------------------------------------------- */

enum mesh_status mesh__refusal_status(const struct mesh__rules *rules, enum mesh__refusal refusal)
{
    switch (refusal) {
    case MESH__REFUSED_LATE:
        return MESH_DEADLINE_EXCEEDED;
    case MESH__REFUSED_CANCELLED:
        return MESH_CANCELLED;
    case MESH__REFUSED_FAULT:
        return (enum mesh_status)rules->values->fault_abort_status;
    default:
        return MESH_UNAVAILABLE;
    }
}

/* The texts around the method's name, and ErrorInfo's reason. */
static const struct refusal {
    const char *before, *after;
    const char *reason;
    const char *instead; /* of another attempt */
} refusals[MESH__N_REFUSALS] = {
    [MESH__REFUSED_LATE] = {"the deadline passed before ", " was sent", NULL,
                            "the deadline has passed"},
    [MESH__REFUSED_CANCELLED] = {"cancelled before ", " was sent", NULL, "it was cancelled"},
    [MESH__REFUSED_BREAKER] = {"the circuit breaker of ", " is open", "CIRCUIT_OPEN", NULL},
    [MESH__REFUSED_WORKERS] = {"too many calls wait for it, ", " was not sent", "WORKER_LIMIT",
                               NULL},
    [MESH__REFUSED_REQUESTS] = {"too many attempts are in flight, ", " was not sent",
                                "REQUEST_LIMIT", "too many are in flight"},
    [MESH__REFUSED_PENDING] = {"too many calls wait for an endpoint, ", " was not sent",
                               "PENDING_LIMIT", "too many calls wait for an endpoint"},
    [MESH__REFUSED_NO_ENDPOINT] = {"no endpoint could be reached, ", " was not sent", "NO_ENDPOINT",
                                   "no endpoint could be reached"},
    [MESH__REFUSED_FAULT] = {"the fault of the policy has ended ", "", "FAULT",
                             "the fault of the policy has ended it"},
};

/* What a refusal means for the breaker: only these two are the peer's failures. */
static enum mesh__breaker_outcome refusal_outcome(const struct mesh__rules *rules,
                                                  enum mesh__refusal refusal)
{
    bool failed = refusal == MESH__REFUSED_NO_ENDPOINT ||
                  (refusal == MESH__REFUSED_LATE && rules->peers_time);

    return failed ? MESH__BREAKER_FAILURE : MESH__BREAKER_NOTHING;
}

/* What was sent may have been done: the call has failed in the way of its last attempt. */
static MESH_STATUS refuse_another(struct mesh_ctx *ctx, struct mesh__rules *rules,
                                  enum mesh__refusal refusal)
{
    const struct mesh__result *last = &rules->last;
    const char *text = mesh_printf(ctx, "%s; no other attempt was possible: %s", last->error.text,
                                   refusals[refusal].instead);

    if (refusal == MESH__REFUSED_CANCELLED) {
        mesh__rules_judge(rules, MESH__BREAKER_NOTHING);
        return mesh_fail(ctx, MESH_CANCELLED, "%s", text);
    }
    mesh__error_put(ctx, &last->error);
    ctx->scope->error->text = mesh__clean_text(ctx, text, MESH_ERROR_TEXT_MAX);
    mesh__error_is_final(ctx, "RETRIES_EXHAUSTED", -1);
    mesh__rules_judge(rules, last->outcome);
    return last->status;
}

MESH_STATUS mesh__rules_refuse(struct mesh_ctx *ctx, struct mesh__rules *rules,
                               enum mesh__refusal refusal)
{
    const struct refusal *known = &refusals[refusal];
    enum mesh_status status;

    if (rules->last.status != MESH_OK) {
        return refuse_another(ctx, rules, refusal);
    }
    status = mesh_fail(ctx, mesh__refusal_status(rules, refusal), "%s: %s%s%s", rules->client->name,
                       known->before, rules->method->name, known->after);

    if (known->reason != NULL) {
        mesh__error_is_final(ctx, known->reason,
                             status == MESH_UNAVAILABLE ? rules->refused_ms : -1);
    }
    mesh__rules_judge(rules, refusal_outcome(rules, refusal));
    return status;
}

/* ---- retries -------------------------------------------------------------------------------- */

bool mesh__rules_take_place(struct mesh__rules *rules)
{
    enum mesh__retry_grant grant = mesh__retry_budget_take(rules->client->budget);

    if (grant != MESH__RETRY_GRANTED) {
        mesh_counter_add(rules->client->counts.over_budget[grant], 1);
        return false;
    }
    rules->n_places++;
    return true;
}

void mesh__rules_give_place(struct mesh__rules *rules)
{
    if (rules->n_places > 0) {
        rules->n_places--;
        mesh__retry_budget_give(rules->client->budget);
    }
}

enum mesh__again mesh__rules_retry(struct mesh__rules *rules, const struct mesh__failure *failure,
                                   const char *pushback, int64_t *ret_pause_ns)
{
    unsigned matches = failure->retry_on & (unsigned)rules->values->retry_on;
    int64_t pause_ns;

    if (matches == 0) {
        return MESH__AGAIN_NOT;
    }
    if (rules->values->attempts == 0 && !rules->once) {
        return MESH__AGAIN_NOT; /* nobody wants retries: others may */
    }
    if (rules->once || rules->retries >= rules->values->attempts) {
        return MESH__AGAIN_NO_MORE;
    }
    if (pushback == NULL) {
        pause_ns = mesh__backoff_ns(&rules->backoff);
    } else if (!mesh__backoff_pushback(&rules->backoff, pushback, &pause_ns)) {
        return MESH__AGAIN_NO_MORE;
    }
    /* What would begin after the deadline is not worth a place. */
    if (pause_ns >= rules->deadline_ns - mesh__now_ns() || !mesh__rules_take_place(rules)) {
        return MESH__AGAIN_NO_MORE;
    }
    rules->retries++;
    mesh__client_counts_retry(&rules->client->counts, matches);
    *ret_pause_ns = pause_ns;
    return MESH__AGAIN;
}

enum mesh__again mesh__rules_not_ready(struct mesh__rules *rules, int64_t *ret_pause_ns)
{
    mesh__endpoints_look_up(rules->client->endpoints);
    mesh__rules_give_place(rules); /* of the retry that ends here, if it is one */
    return mesh__rules_retry(rules, &mesh__failure_not_ready, NULL, ret_pause_ns);
}

/* ---- attempts ------------------------------------------------------------------------------- */

enum mesh__picked mesh__rules_pick(struct mesh__rules *rules, struct mesh__endpoint **ret_endpoint)
{
    struct mesh_client *client = rules->client;
    enum mesh__picked picked = mesh__endpoints_pick(client->endpoints, &rules->pick, ret_endpoint);

    if (picked == MESH__PICKED && !mesh__limit_take(&client->requests)) {
        mesh__endpoints_leave(client->endpoints, *ret_endpoint, MESH__EJECTION_NOTHING);
        *ret_endpoint = NULL;
    }
    return picked;
}

void mesh__rules_unpick(const struct mesh__rules *rules, struct mesh__endpoint *endpoint)
{
    mesh__endpoints_leave(rules->client->endpoints, endpoint, MESH__EJECTION_NOTHING);
    mesh__limit_give(&rules->client->requests);
}

static bool happens(int64_t per_million)
{
    return per_million > 0 && mesh__random_between(1, MILLION) <= per_million;
}

bool mesh__rules_fault(const struct mesh__rules *rules, const struct mesh_ctx *ctx,
                       int64_t *ret_delay_ms)
{
    const struct mesh__route_values *values = rules->values;
    const char *found;

    *ret_delay_ms = 0;
    if (values->fault_abort_status == MESH_OK && values->fault_delay_ms == 0) {
        return false;
    }
    found = mesh_ctx_metadata(ctx, MESH__FAULT, NULL);
    if (values->fault_header != NULL &&
        (found == NULL || strcmp(found, values->fault_header) != 0)) {
        return false;
    }
    if (values->fault_abort_status != MESH_OK && happens(values->fault_abort_per_million)) {
        mesh_counter_add(rules->client->counts.aborts, 1);
        return true;
    }
    if (values->fault_delay_ms > 0 && happens(values->fault_delay_per_million)) {
        mesh_counter_add(rules->client->counts.delays, 1);
        *ret_delay_ms = values->fault_delay_ms;
    }
    return false;
}

/* ---- the end -------------------------------------------------------------------------------- */

enum mesh__breaker_outcome mesh__rules_outcome(const struct mesh_ctx *ctx,
                                               const struct mesh__rules *rules,
                                               enum mesh_status status)
{
    if (status == MESH_OK) {
        return MESH__BREAKER_SUCCESS;
    }
    if (rules->given_up || mesh_ctx_error_is_of_mesh(ctx)) {
        return MESH__BREAKER_NOTHING;
    }
    if (rules->failure.transport && rules->failure.ejection == MESH__EJECTION_BOTH) {
        return MESH__BREAKER_FAILURE; /* whatever code there is for it */
    }
    switch (status) {
    case MESH_CANCELLED:
    case MESH_RESOURCE_EXHAUSTED: /* a peer that sheds its load has not recovered */
        return MESH__BREAKER_NOTHING;
    case MESH_DEADLINE_EXCEEDED: /* else impatience, or a queue of ours, opens it for all */
        return rules->peers_time ? MESH__BREAKER_FAILURE : MESH__BREAKER_NOTHING;
    case MESH_UNKNOWN:
    case MESH_INTERNAL:
    case MESH_UNAVAILABLE:
    case MESH_DATA_LOSS:
    case MESH_UNIMPLEMENTED:
        return MESH__BREAKER_FAILURE;
    default:
        return MESH__BREAKER_REFUSAL;
    }
}

void mesh__rules_judge(struct mesh__rules *rules, enum mesh__breaker_outcome outcome)
{
    if (!rules->judged) {
        rules->judged = true;
        mesh__breaker_report(rules->state->breaker, &rules->pass, outcome);
    }
}

void mesh__rules_end(struct mesh__rules *rules, enum mesh_status status)
{
    struct mesh_client *client = rules->client;
    int64_t over_ns = rules->ended_ns != 0 ? rules->ended_ns : mesh__now_ns();

    mesh__rules_judge(rules, MESH__BREAKER_NOTHING);
    if (status == MESH_DEADLINE_EXCEEDED && rules->own_time && over_ns >= rules->deadline_ns) {
        mesh_counter_add(client->counts.call_timeouts, 1);
    }
    mesh__endpoints_forget(client->endpoints, &rules->pick);
    while (rules->n_places > 0) {
        mesh__rules_give_place(rules);
    }
    mesh__retry_budget_end(client->budget);
    if (rules->waits) {
        mesh__limit_give(&client->workers);
    }
    n_under_way--;
    mesh__call_handled(rules->state->metrics, status, over_ns - rules->started_ns);
    mesh__policy_release(rules->policy);
    rules->policy = NULL;
}
