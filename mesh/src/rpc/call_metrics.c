/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/call_metrics.h"

#include "core/clock.h"
#include "core/fatal.h"
#include "mesh/metrics.h"

#include <stdatomic.h>
#include <stdlib.h>

#define N_CODES (MESH_UNAUTHENTICATED + 1)
#define MAX_LABELS 9

struct mesh__call_metrics {
    enum mesh__side side;
    char *service;
    char *method;
    enum mesh_method_kind kind;
    struct mesh_counter *started;
    struct mesh_histogram *seconds;
    _Atomic(struct mesh_counter *) handled[N_CODES]; /* made at the first call that ends so */
};

/* One kind of metric on both sides. */
struct words {
    const char *name;
    const char *help;
};

static const struct words started_words[] = {
    [MESH__SERVER] = {"grpc_server_started_total", "Calls that have come."},
    [MESH__CLIENT] = {"grpc_client_started_total", "Calls started to peers."},
};
static const struct words handled_words[] = {
    [MESH__SERVER] = {"grpc_server_handled_total", "Calls that were answered, by their status."},
    [MESH__CLIENT] = {"grpc_client_handled_total",
                      "Calls to peers that have ended, by their status."},
};
static const struct words seconds_words[] = {
    [MESH__SERVER] = {"grpc_server_handling_seconds",
                      "Seconds from the start of a call to its answer."},
    [MESH__CLIENT] = {"grpc_client_handling_seconds",
                      "Seconds from the start of a call to its status."},
};

static const char *kind_label(enum mesh_method_kind kind)
{
    static const char *const labels[] = {
        [MESH_UNARY] = "unary",
        [MESH_SERVER_STREAMING] = "server_stream",
        [MESH_CLIENT_STREAMING] = "client_stream",
        [MESH_BIDI_STREAMING] = "bidi_stream",
    };

    return labels[kind];
}

static void fill_labels(const struct mesh__call_metrics *metrics, const char *code,
                        const char *ret_labels[MAX_LABELS])
{
    size_t n = 0;

    ret_labels[n++] = "grpc_type";
    ret_labels[n++] = kind_label(metrics->kind);
    ret_labels[n++] = "grpc_service";
    ret_labels[n++] = metrics->service;
    ret_labels[n++] = "grpc_method";
    ret_labels[n++] = metrics->method;
    if (code != NULL) {
        ret_labels[n++] = "grpc_code";
        ret_labels[n++] = code;
    }
    ret_labels[n] = NULL;
}

static struct mesh_counter *handled(struct mesh__call_metrics *metrics, enum mesh_status status)
{
    struct mesh_counter *counter = atomic_load(&metrics->handled[status]);

    if (counter == NULL) { /* the registry hands all threads the same one */
        const struct words *words = &handled_words[metrics->side];
        const char *labels[MAX_LABELS];

        fill_labels(metrics, mesh_status_label(status), labels);
        counter = mesh_counter(words->name, words->help, labels);
        atomic_store(&metrics->handled[status], counter);
    }
    return counter;
}

struct mesh__call_metrics *mesh__call_metrics_new(enum mesh__side side, const char *service,
                                                  const char *method, enum mesh_method_kind kind)
{
    struct mesh__call_metrics *metrics = mesh__calloc(1, sizeof(*metrics));
    const char *labels[MAX_LABELS];

    metrics->side = side;
    metrics->service = mesh__strdup(service);
    metrics->method = mesh__strdup(method);
    metrics->kind = kind;
    fill_labels(metrics, NULL, labels);
    metrics->started = mesh_counter(started_words[side].name, started_words[side].help, labels);
    metrics->seconds = mesh_histogram(seconds_words[side].name, seconds_words[side].help, labels);
    (void)handled(metrics, MESH_OK); /* shown from the start */
    return metrics;
}

void mesh__call_metrics_free(struct mesh__call_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    free(metrics->service);
    free(metrics->method);
    free(metrics);
}

void mesh__call_started(struct mesh__call_metrics *metrics)
{
    mesh_counter_add(metrics->started, 1);
}

void mesh__call_handled(struct mesh__call_metrics *metrics, enum mesh_status status,
                        int64_t elapsed_ns)
{
    mesh_counter_add(handled(metrics, status), 1);
    mesh_histogram_observe(metrics->seconds, (double)elapsed_ns / (double)MESH_NS_PER_S);
}
