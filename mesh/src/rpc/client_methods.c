/* SPDX-License-Identifier: Apache-2.0 */
/* What a client keeps of its methods: metrics and breaker, each made at the first call. */
#include "core/fatal.h"
#include "mesh/log.h"
#include "rpc/client_call.h"

#include <stdlib.h>
#include <string.h>

/* "/fashion.order.v1.OrderService/PlaceOrder" -> "fashion.order.v1.OrderService" */
static char *service_of(const char *path)
{
    const char *start = path[0] == '/' ? path + 1 : path;
    char *service = strndup(start, strcspn(start, "/"));

    if (service == NULL) {
        mesh__fatal("out of memory");
    }
    return service;
}

/* ---- the breaker ---------------------------------------------------------------------------- */

static struct mesh__breaker_settings settings_of(const struct mesh__destination_values *values)
{
    return (struct mesh__breaker_settings){
        .consecutive_failures = values->breaker_consecutive_failures,
        .failure_rate_percent = values->breaker_failure_rate_percent,
        .slow_call_rate_percent = values->breaker_slow_call_rate_percent,
        .slow_call_ms = values->breaker_slow_call_duration_ms,
        .window_ms = values->breaker_window_ms,
        .minimum_calls = values->breaker_minimum_calls,
        .open_ms = values->breaker_open_duration_ms,
        .half_open_calls = values->breaker_half_open_calls,
    };
}

static void on_change(void *arg, const struct mesh__breaker_change *change)
{
    const struct mesh__method_state *state = arg;
    const char *const labels[] = {"destination", state->destination,
                                  "method",      state->method->path,
                                  "to",          mesh__breaker_name(change->to),
                                  NULL};

    mesh_gauge_set(state->breaker_state, (double)change->to);
    mesh_counter_add(mesh_counter("mesh_client_breaker_changes_total",
                                  "Changes of circuit breakers, by the new state.", labels),
                     1);
    mesh_log(change->to == MESH__BREAKER_OPEN ? MESH_LOG_WARN : MESH_LOG_INFO,
             MESH_LOG_FIELDS(
                 mesh_log_text("destination", state->destination),
                 mesh_log_text("method", state->method->path),
                 mesh_log_text("from", mesh__breaker_name(change->from)),
                 mesh_log_text("to", mesh__breaker_name(change->to)),
                 mesh_log_text("reason", change->reason),
                 mesh_log_int("in_a_row", change->in_a_row), mesh_log_int("calls", change->calls),
                 mesh_log_int("failures", change->failures), mesh_log_int("slow", change->slow)),
             "a circuit breaker has changed");
}

/* ---- methods -------------------------------------------------------------------------------- */

static struct mesh__method_state *state_new(const struct mesh_client *client,
                                            const struct mesh_method *method,
                                            const struct mesh__breaker_settings *settings)
{
    struct mesh__method_state *state = mesh__calloc(1, sizeof *state);
    const char *const labels[] = {"destination", client->name, "method", method->path, NULL};
    char *service = service_of(method->path);

    state->method = method;
    state->destination = client->name;
    state->metrics = mesh__call_metrics_new(MESH__CLIENT, service, method->name, method->kind);
    state->breaker_state = mesh_gauge("mesh_client_breaker_state",
                                      "Circuit breaker: 0 closed, 1 open, 2 half-open.", labels);
    state->breaker = mesh__breaker_new(settings, on_change, state);
    free(service);
    return state;
}

static void state_free(struct mesh__method_state *state)
{
    mesh__call_metrics_free(state->metrics);
    mesh__breaker_free(state->breaker);
    free(state);
}

static struct mesh__method_state *find(const struct mesh_client *client,
                                       const struct mesh_method *method)
{
    struct mesh__method_state *state = atomic_load(&client->methods);

    while (state != NULL && state->method != method) {
        state = state->next;
    }
    return state;
}

struct mesh__method_state *mesh__client_method(struct mesh_client *client,
                                               const struct mesh_method *method)
{
    struct mesh__method_state *state = find(client, method);

    if (state != NULL) {
        return state;
    }
    pthread_mutex_lock(&client->mutex);
    state = find(client, method); /* another thread may have made it */
    if (state == NULL) {
        const struct mesh__policy *policy = atomic_load(&client->in_force);
        const struct mesh__destination_policy *destination =
            mesh__policy_destination(policy, client->index);
        const struct mesh__breaker_settings settings = settings_of(&destination->values);

        state = state_new(client, method, &settings);
        state->next = atomic_load(&client->methods);
        atomic_store(&client->methods, state);
    }
    pthread_mutex_unlock(&client->mutex);
    return state;
}

void mesh__client_methods_set(struct mesh_client *client,
                              const struct mesh__destination_values *values)
{
    const struct mesh__breaker_settings settings = settings_of(values);

    for (struct mesh__method_state *state = atomic_load(&client->methods); state != NULL;
         state = state->next) {
        mesh__breaker_set(state->breaker, &settings);
    }
}

void mesh__client_methods_free(struct mesh_client *client)
{
    struct mesh__method_state *state = atomic_load(&client->methods);

    while (state != NULL) {
        struct mesh__method_state *next = state->next;

        state_free(state);
        state = next;
    }
}
