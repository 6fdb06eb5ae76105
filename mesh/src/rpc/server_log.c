/* SPDX-License-Identifier: Apache-2.0 */
/* What is written down about a finished call: one log line, and its metrics. */
#include "core/clock.h"
#include "core/fatal.h"
#include "core/log_impl.h"
#include "mesh/metrics.h"
#include "rpc/server_impl.h"

#include <stdlib.h>

#define N_CODES (MESH_UNAUTHENTICATED + 1)
#define MAX_LABELS 9
#define MAX_FIELDS 40

struct server_metrics {
    char *service;
    char *method;
    enum mesh_method_kind kind;
    struct mesh_counter *started;
    struct mesh_histogram *seconds;
    _Atomic(struct mesh_counter *) handled[N_CODES]; /* made at the first call that ends so */
};

/* ---- metrics ------------------------------------------------------------------------------ */

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

static void fill_labels(const struct server_metrics *metrics, const char *code,
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

static struct mesh_counter *handled(struct server_metrics *metrics, enum mesh_status status)
{
    struct mesh_counter *counter = atomic_load(&metrics->handled[status]);

    if (counter == NULL) { /* the registry hands all threads the same one */
        const char *labels[MAX_LABELS];

        fill_labels(metrics, mesh_status_name(status), labels);
        counter = mesh_counter("grpc_server_handled_total",
                               "Calls that were answered, by their status.", labels);
        atomic_store(&metrics->handled[status], counter);
    }
    return counter;
}

struct server_metrics *mesh__server_metrics_new(const char *service, const char *method,
                                                enum mesh_method_kind kind)
{
    struct server_metrics *metrics = mesh__calloc(1, sizeof(*metrics));
    const char *labels[MAX_LABELS];

    metrics->service = mesh__strdup(service);
    metrics->method = mesh__strdup(method);
    metrics->kind = kind;
    fill_labels(metrics, NULL, labels);
    metrics->started = mesh_counter("grpc_server_started_total", "Calls that have come.", labels);
    metrics->seconds = mesh_histogram("grpc_server_handling_seconds",
                                      "Seconds from the start of a call to its answer.", labels);
    (void)handled(metrics, MESH_OK); /* shown from the start */
    return metrics;
}

void mesh__server_metrics_free(struct server_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    free(metrics->service);
    free(metrics->method);
    free(metrics);
}

void mesh__server_count_started(struct server_metrics *metrics)
{
    mesh_counter_add(metrics->started, 1);
}

void mesh__server_count_handled(struct server_metrics *metrics, enum mesh_status status,
                                int64_t elapsed_ns)
{
    mesh_counter_add(handled(metrics, status), 1);
    mesh_histogram_observe(metrics->seconds, (double)elapsed_ns / (double)MESH_NS_PER_S);
}

void mesh__server_count_rejected(const char *reason)
{
    const char *labels[] = {"reason", reason, NULL};

    mesh_counter_add(mesh_counter("mesh_server_rejected_total",
                                  "Calls that no handler has seen, by the reason.", labels),
                     1);
}

/* ---- log ---------------------------------------------------------------------------------- */

struct line {
    struct mesh_log_field fields[MAX_FIELDS];
    size_t n;
};

/* Fields without a text are left out. */
static void add(struct line *line, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0' && line->n < MAX_FIELDS) {
        line->fields[line->n++] = mesh_log_text(key, text);
    }
}

static const char *request_id(const struct server_call *call, const ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *field = call->method->request_id;

    if (field == NULL || request == NULL) {
        return NULL;
    }
    return *(const char *const *)((const char *)request + field->offset);
}

/* Bugs stand out from what clients do wrong. */
static enum mesh_log_level level_of(const struct server_call *call, enum mesh_status status)
{
    if (status == MESH_INTERNAL || status == MESH_UNKNOWN || status == MESH_DATA_LOSS) {
        return MESH_LOG_ERROR;
    }
    return call->method->log_level;
}

static void write_line(const struct server_call *call, const struct mesh_ctx *ctx,
                       enum mesh_status status, const char *id, int64_t elapsed_ns)
{
    const struct mesh__scope *scope = ctx->scope;
    const struct mesh_method *method = call->method->method;
    enum mesh_log_level level = level_of(call, status);
    struct line line = {.n = 0};
    char peer[128];

    if (!mesh__log_enabled(level)) {
        return;
    }
    mesh__wire->call_peer(call->wire, peer, sizeof(peer));
    add(&line, "method", method != NULL ? method->path : mesh__wire->call_path(call->wire));
    add(&line, "code", mesh_status_name(status));
    line.fields[line.n++] = mesh_log_int("ms", elapsed_ns / MESH_NS_PER_MS);
    add(&line, "peer", peer);
    add(&line, "trace_id", scope->trace.trace_id);
    add(&line, "correlation_id", scope->correlation_id);
    add(&line, "request_id", id);
    if (status != MESH_OK) {
        add(&line, "reason", scope->error->reason);
        add(&line, "text", scope->error->text);
    }
    for (const struct mesh__pair *note = scope->notes; note != NULL; note = note->next) {
        add(&line, note->key, note->value);
    }
    mesh_log(level, (struct mesh_log_fields){line.fields, line.n}, "call");
}

void mesh__call_log(const struct server_call *call, struct mesh_ctx *ctx, enum mesh_status status,
                    const ProtobufCMessage *request)
{
    int64_t elapsed_ns = mesh__now_ns() - call->started_ns;

    mesh__server_count_handled(call->method->metrics, status, elapsed_ns);
    write_line(call, ctx, status, request_id(call, request), elapsed_ns);
}
