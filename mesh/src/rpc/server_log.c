/* SPDX-License-Identifier: Apache-2.0 */
/* What is written down about a finished call: one log line, and its metrics. */
#include "core/clock.h"
#include "core/field.h"
#include "core/log_impl.h"
#include "mesh/metrics.h"
#include "rpc/server_impl.h"

#define MAX_FIELDS 40

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

    if (field == NULL || request == NULL || !mesh__field_is_set(request, field)) {
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

    if (!mesh__log_enabled(level)) {
        return;
    }
    add(&line, "method", method != NULL ? method->path : mesh__wire->call_path(call->wire));
    add(&line, "code", mesh_status_name(status));
    line.fields[line.n++] = mesh_log_int("ms", elapsed_ns / MESH_NS_PER_MS);
    add(&line, "peer", call->peer);
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

    mesh__call_handled(call->method->metrics, status, elapsed_ns);
    write_line(call, ctx, status, request_id(call, request), elapsed_ns);
}
