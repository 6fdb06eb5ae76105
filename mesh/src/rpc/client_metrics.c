/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of outgoing calls, with the names of go-grpc-prometheus and their handles kept. */
#include "core/clock.h"
#include "core/fatal.h"
#include "mesh/metrics.h"
#include "rpc/client_call.h"

#include <stdlib.h>
#include <string.h>

#define N_CODES (MESH_UNAUTHENTICATED + 1)
#define MAX_LABELS 9

struct mesh__method_metrics {
    struct mesh__method_metrics *next;
    const struct mesh_method *method;
    char *service; /* from the method's path */
    struct mesh_counter *started;
    struct mesh_histogram *seconds;
    _Atomic(struct mesh_counter *) handled[N_CODES]; /* made at the first call that ends so */
};

static const char *kind_label(enum mesh_method_kind kind)
{
    switch (kind) {
    case MESH_UNARY:
        return "unary";
    case MESH_SERVER_STREAMING:
        return "server_stream";
    case MESH_CLIENT_STREAMING:
        return "client_stream";
    case MESH_BIDI_STREAMING:
        break;
    }
    return "bidi_stream";
}

static void fill_labels(const struct mesh__method_metrics *metrics, const char *code,
                        const char *ret_labels[MAX_LABELS])
{
    size_t n = 0;

    ret_labels[n++] = "grpc_type";
    ret_labels[n++] = kind_label(metrics->method->kind);
    ret_labels[n++] = "grpc_service";
    ret_labels[n++] = metrics->service;
    ret_labels[n++] = "grpc_method";
    ret_labels[n++] = metrics->method->name;
    if (code != NULL) {
        ret_labels[n++] = "grpc_code";
        ret_labels[n++] = code;
    }
    ret_labels[n] = NULL;
}

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

static struct mesh__method_metrics *metrics_new(const struct mesh_method *method)
{
    struct mesh__method_metrics *metrics = mesh__calloc(1, sizeof *metrics);
    const char *labels[MAX_LABELS];

    metrics->method = method;
    metrics->service = service_of(method->path);
    fill_labels(metrics, NULL, labels);
    metrics->started = mesh_counter("grpc_client_started_total", "Calls started to peers.", labels);
    metrics->seconds = mesh_histogram("grpc_client_handling_seconds",
                                      "Seconds from the start of a call to its status.", labels);
    return metrics;
}

static void metrics_free(struct mesh__method_metrics *metrics)
{
    free(metrics->service);
    free(metrics);
}

static struct mesh__method_metrics *find(struct mesh__method_metrics *from,
                                         const struct mesh_method *method)
{
    while (from != NULL && from->method != method) {
        from = from->next;
    }
    return from;
}

struct mesh__method_metrics *mesh__client_metrics(struct mesh_client *client,
                                                  const struct mesh_method *method)
{
    struct mesh__method_metrics *head = atomic_load(&client->metrics);
    struct mesh__method_metrics *found = find(head, method);
    struct mesh__method_metrics *made;

    if (found != NULL) {
        return found;
    }
    made = metrics_new(method);
    do { /* another thread may put the same method there first */
        found = find(head, method);
        if (found != NULL) {
            metrics_free(made);
            return found;
        }
        made->next = head;
    } while (!atomic_compare_exchange_weak(&client->metrics, &head, made));
    return made;
}

void mesh__client_metrics_free(struct mesh_client *client)
{
    struct mesh__method_metrics *metrics = atomic_load(&client->metrics);

    while (metrics != NULL) {
        struct mesh__method_metrics *next = metrics->next;

        metrics_free(metrics);
        metrics = next;
    }
}

void mesh__client_count_started(struct mesh__method_metrics *metrics)
{
    mesh_counter_add(metrics->started, 1);
}

void mesh__client_count_handled(struct mesh__method_metrics *metrics, enum mesh_status status,
                                int64_t elapsed_ns)
{
    struct mesh_counter *counter = atomic_load(&metrics->handled[status]);

    if (counter == NULL) { /* the registry hands all threads the same one */
        const char *labels[MAX_LABELS];

        fill_labels(metrics, mesh_status_name(status), labels);
        counter = mesh_counter("grpc_client_handled_total",
                               "Calls to peers that have ended, by their status.", labels);
        atomic_store(&metrics->handled[status], counter);
    }
    mesh_counter_add(counter, 1);
    mesh_histogram_observe(metrics->seconds, (double)elapsed_ns / (double)MESH_NS_PER_S);
}
