/* SPDX-License-Identifier: Apache-2.0 */
/* Destinations: what is known of a peer, and the policy that is in force for it. */
#include "core/fatal.h"
#include "core/text.h"
#include "mesh/main.h"
#include "rpc/client_call.h"

#include <stdlib.h>
#include <string.h>

/* ---- the policy in force -------------------------------------------------------------------- */

static void put_in_force(struct mesh_client *client, const struct mesh__destination_values *values)
{
    int64_t n_workers = client->n_workers;
    int64_t limit = values->worker_limit > 0 || n_workers == 0 ? values->worker_limit
                                                               : mesh__worker_limit(n_workers);

    atomic_store(&client->workers.max, limit);
    atomic_store(&client->requests.max, values->max_requests);
    atomic_store(&client->pending.max, values->max_pending_requests);
    mesh__retry_budget_set(client->budget, &(struct mesh__retry_budget_settings){
                                               .percent = values->budget_percent,
                                               .min_concurrency = values->budget_min_concurrency});
    mesh__endpoints_set(client->endpoints, values);
    mesh__client_methods_set(client, values);
}

/* The newest one: what a caller has taken may be old by the time that it comes here. */
static void follow(struct mesh_client *client)
{
    struct mesh__policy *policy;
    struct mesh__policy *before;

    pthread_mutex_lock(&client->mutex);
    policy = mesh__policies_take(client->policies);
    before = atomic_load(&client->in_force);
    if (policy != before) {
        put_in_force(client, &mesh__policy_destination(policy, client->index)->values);
        atomic_store(&client->in_force, mesh__policy_hold(policy));
        mesh__policy_release(before);
    }
    pthread_mutex_unlock(&client->mutex);
    mesh__policy_release(policy);
}

struct mesh__policy *mesh__client_policy(struct mesh_client *client,
                                         const struct mesh__destination_policy **ret_destination)
{
    struct mesh__policy *policy = mesh__policies_take(client->policies);

    *ret_destination = mesh__policy_destination(policy, client->index);
    if (policy != atomic_load(&client->in_force)) {
        follow(client);
    }
    return policy;
}

/* ---- life ----------------------------------------------------------------------------------- */

/*
 * A sidecar finds its rules by the host, as its services are called, without the dot at its end;
 * and who is healthy is its business.
 */
static struct mesh__endpoints *behind_sidecar(const struct mesh_client *client, const char *target)
{
    char *host = mesh__strdup(target);
    char *dot = strstr(host, ".:");
    struct mesh__endpoints *endpoints;

    if (dot != NULL) {
        memmove(dot, dot + 1, strlen(dot)); /* the end, too */
    }
    endpoints = mesh__endpoints_new(&(struct mesh__endpoints_options){
        .name = client->name, .target = target, .authority = host});
    free(host);
    return endpoints;
}

static struct mesh__endpoints *find_endpoints(const struct mesh_client *client, const char *target,
                                              bool of_service)
{
    struct mesh__policy *policy = mesh__policies_take(client->policies);
    bool sidecar = mesh__policy_mode(policy) == MESH__MODE_ISTIO;

    mesh__policy_release(policy);
    if (sidecar) {
        return behind_sidecar(client, target);
    }
    return mesh__endpoints_new(&(struct mesh__endpoints_options){.name = client->name,
                                                                 .target = target,
                                                                 .authority = client->name,
                                                                 .watch_health = of_service});
}

static struct mesh_client *client_new(const struct mesh__client_options *options, bool of_service)
{
    struct mesh_client *client = mesh__calloc(1, sizeof *client);
    const struct mesh__destination_policy *destination;

    mesh__calls_init();
    mesh__wire->start();
    pthread_mutex_init(&client->mutex, NULL);
    client->name = mesh__strdup(options->name);
    client->policies = options->policies;
    client->index = options->index;
    client->n_workers = options->n_workers;
    client->keeps_reserve = of_service;
    client->workers.above = options->waiting;
    client->budget = mesh__retry_budget_new(&(struct mesh__retry_budget_settings){0});
    mesh__client_counts_make(&client->counts, client->name);
    client->endpoints = find_endpoints(client, options->target, of_service);
    mesh__policy_release(mesh__client_policy(client, &destination));
    return client;
}

struct mesh_client *mesh__client_new(const struct mesh__client_options *options)
{
    return client_new(options, true);
}

/* Who only calls wants to hear what the peer says, however often it is bad. */
static const char policy_of_programs[] =
    "{\"schema\":\"mesh-policy/v1\",\"mode\":\"library\",\"defaults\":{\"destination\":{"
    "\"circuitBreaker\":{\"consecutiveFailures\":0,\"failureRatePercent\":0,"
    "\"slowCallRatePercent\":0},"
    "\"outlierDetection\":{\"consecutive5xxErrors\":0,\"consecutiveGatewayErrors\":0}}}}";

struct mesh_client *mesh_client_new(const char *name, const char *target, int64_t timeout_ms)
{
    struct mesh_peer *peers = mesh__calloc(2, sizeof *peers); /* the last one ends them */
    const struct mesh__policy_options policy = {.file = "(program)", .peers = peers};
    struct mesh__client_options options = {.name = name, .target = target};
    char *own_name = mesh__strdup(name);
    struct mesh__policy *fixed;
    struct mesh_client *client;
    char error[256];

    peers[0] = (struct mesh_peer){.name = own_name, .timeout_ms = timeout_ms};
    fixed = mesh__policy_new(&policy, policy_of_programs, sizeof policy_of_programs - 1, error,
                             sizeof error);
    if (fixed == NULL) { /* none of it is from outside */
        mesh__fatal("client %s: %s", name, error);
    }
    options.policies = mesh__policies_fixed(fixed);
    client = client_new(&options, false);
    client->own_policies = options.policies;
    client->own_peers = peers;
    client->own_name = own_name;
    return client;
}

void mesh_client_free(struct mesh_client *client)
{
    if (client == NULL) {
        return;
    }
    mesh__endpoints_free(client->endpoints);
    mesh__wire->stop();
    mesh__client_methods_free(client);
    mesh__retry_budget_free(client->budget);
    mesh__policy_release(atomic_load(&client->in_force));
    mesh__policies_free(client->own_policies);
    free(client->own_peers);
    free(client->own_name);
    pthread_mutex_destroy(&client->mutex);
    free(client->name);
    free(client);
}

/* ---- for people ----------------------------------------------------------------------------- */

static void methods_json(const struct mesh_client *client, struct mesh__text *text)
{
    const char *before = "";

    mesh__text_adds(text, "{");
    for (const struct mesh__method_state *state = atomic_load(&client->methods); state != NULL;
         state = state->next) {
        struct mesh__breaker_view view = mesh__breaker_look(state->breaker);

        mesh__text_printf(text,
                          "%s\"%s\":{\"state\":\"%s\",\"failuresInARow\":%lld,\"calls\":%lld,"
                          "\"failures\":%lld,\"slowCalls\":%lld,\"probes\":%lld}",
                          before, state->method->path, mesh__breaker_name(view.state),
                          (long long)view.in_a_row, (long long)view.calls, (long long)view.failures,
                          (long long)view.slow, (long long)view.probes);
        before = ",";
    }
    mesh__text_adds(text, "}");
}

void mesh__client_json(struct mesh_client *client, struct mesh__text *text)
{
    struct mesh__retry_budget_view budget = mesh__retry_budget_look(client->budget);

    mesh__text_printf(text,
                      "{\"calls\":%lld,\"workersWaiting\":%lld,\"workerLimit\":%lld,"
                      "\"requestsInFlight\":%lld,\"pendingRequests\":%lld,"
                      "\"retryBudget\":{\"inFlight\":%lld,\"recentCalls\":%lld,"
                      "\"recentRetries\":%lld},\"endpoints\":",
                      (long long)budget.calls, (long long)atomic_load(&client->workers.used),
                      (long long)atomic_load(&client->workers.max),
                      (long long)atomic_load(&client->requests.used),
                      (long long)atomic_load(&client->pending.used), (long long)budget.retries,
                      (long long)budget.recent_calls, (long long)budget.recent_retries);
    mesh__endpoints_json(client->endpoints, text);
    mesh__text_adds(text, ",\"circuitBreakers\":");
    methods_json(client, text);
    mesh__text_adds(text, "}");
}
