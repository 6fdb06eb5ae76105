/* SPDX-License-Identifier: Apache-2.0 */
#include "server_served.h"

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/log_impl.h"
#include "core/metrics_impl.h"
#include "grpc/health/v1/health.pb-c.h"
#include "mesh/validate.h"
#include "rpc/client_impl.h"
#include "rpc/server_impl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef Check__V1__Words Words;

/* ---- log ---------------------------------------------------------------------------------- */

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static char log_text[1 << 20];
static size_t log_size;
static int n_capturing; /* servers */

static void keep_line(void *arg, const char *line, size_t size)
{
    (void)arg;
    (void)pthread_mutex_lock(&log_mutex);
    if (log_size + size < sizeof(log_text)) {
        memcpy(log_text + log_size, line, size);
        log_size += size;
    }
    (void)pthread_mutex_unlock(&log_mutex);
}

char *served_take_log(void)
{
    char *copy;

    (void)pthread_mutex_lock(&log_mutex);
    copy = strndup(log_text, log_size);
    log_size = 0;
    (void)pthread_mutex_unlock(&log_mutex);
    return copy;
}

static char *find_line(const char *text)
{
    char *found;
    char *line = NULL;

    (void)pthread_mutex_lock(&log_mutex);
    log_text[log_size] = '\0';
    found = strstr(log_text, text);
    if (found != NULL) {
        while (found > log_text && found[-1] != '\n') {
            found--;
        }
        line = strndup(found, strcspn(found, "\n"));
    }
    (void)pthread_mutex_unlock(&log_mutex);
    return line;
}

char *served_wait_log(const char *text)
{
    int64_t until_ns = mesh__in_ms(10000);
    char *line;

    while ((line = find_line(text)) == NULL) {
        if (mesh__now_ns() > until_ns) {
            served_fail(text);
        }
        (void)sched_yield();
    }
    return line;
}

/* ---- handlers ----------------------------------------------------------------------------- */

static MESH_STATUS run_script(struct mesh_ctx *ctx, void *service, const ProtobufCMessage *request,
                              struct mesh_stream *stream)
{
    struct served *served = service;
    served_script script = served->script;
    enum mesh_status status = MESH_OK;

    served->n_entered++;
    (void)sem_post(&served->entered);
    if (script != NULL) {
        status = script(ctx, served, (const Words *)request, stream);
    }
    served->n_finished++;
    return status;
}

static MESH_STATUS echo(struct mesh_ctx *ctx, const void *handlers, void *service,
                        const ProtobufCMessage *request, ProtobufCMessage *response,
                        struct mesh_stream *stream)
{
    const Words *asked = (const Words *)request;
    Words *reply = (Words *)response;

    (void)handlers;
    (void)service;
    (void)stream;
    reply->text = mesh_strdup(ctx, asked->text);
    reply->number = mesh_ctx_remaining_ms(ctx);
    reply->body = asked->body;
    return MESH_OK;
}

static MESH_STATUS scripted(struct mesh_ctx *ctx, const void *handlers, void *service,
                            const ProtobufCMessage *request, ProtobufCMessage *response,
                            struct mesh_stream *stream)
{
    (void)handlers;
    (void)response;
    return run_script(ctx, service, request, stream);
}

/* Waits until the test lets it go, the call is cancelled, or its time is over. */
static MESH_STATUS wait_handler(struct mesh_ctx *ctx, const void *handlers, void *service,
                                const ProtobufCMessage *request, ProtobufCMessage *response,
                                struct mesh_stream *stream)
{
    struct served *served = service;
    enum mesh_status status = MESH_OK;

    (void)handlers;
    (void)request;
    (void)response;
    (void)stream;
    served->n_entered++;
    (void)sem_post(&served->entered);
    while (sem_trywait(&served->leave) != 0) {
        struct timespec moment = {0, 1000000};

        if (mesh_ctx_cancelled(ctx)) {
            status = mesh_fail(ctx, MESH_CANCELLED, "the handler has seen it");
            break;
        }
        if (mesh_ctx_remaining_ms(ctx) == 0) {
            status = mesh_fail(ctx, MESH_DEADLINE_EXCEEDED, "the handler's time is over");
            break;
        }
        (void)nanosleep(&moment, NULL);
    }
    served->outcome = (int)status;
    served->n_finished++;
    return status;
}

/* Texts must be short, and so must labels. */
static void validate(struct mesh_violations *violations, const ProtobufCMessage *request)
{
    const Words *words = (const Words *)request;
    struct mesh_path path = {NULL, "text", -1, NULL, false};

    if (mesh_utf8_length(words->text) > 100) {
        mesh_violate(violations, &path, "string.max_len", "at most 100 characters");
    }
    for (size_t i = 0; i < words->n_labels; i++) {
        struct mesh_path label = {NULL, "labels", -1, words->labels[i]->key, false};

        if (mesh_utf8_length(words->labels[i]->value) > 10) {
            mesh_violate(violations, &label, "string.max_len", "at most 10 characters");
        }
    }
}

#define METHOD(method_name, method_kind, handler)                                                  \
    {                                                                                              \
        .path = "/check.v1.Check/" method_name, .name = method_name, .kind = method_kind,          \
        .request = &check__v1__words__descriptor, .response = &check__v1__words__descriptor,       \
        .validate = validate, .dispatch = handler                                                  \
    }

static const struct mesh_method methods[] = {
    METHOD("Echo", MESH_UNARY, echo),
    METHOD("Fail", MESH_UNARY, scripted),
    METHOD("Wait", MESH_UNARY, wait_handler),
    {.path = "/check.v1.Check/Hide",
     .name = "Hide",
     .kind = MESH_UNARY,
     .request = &check__v1__hidden__descriptor,
     .response = &check__v1__words__descriptor,
     .dispatch = scripted},
    {.path = "/check.v1.Check/Choose",
     .name = "Choose",
     .kind = MESH_UNARY,
     .request = &check__v1__choice__descriptor,
     .response = &check__v1__words__descriptor,
     .dispatch = scripted},
    METHOD("Count", MESH_SERVER_STREAMING, scripted),
    METHOD("Sum", MESH_CLIENT_STREAMING, scripted),
    METHOD("Chat", MESH_BIDI_STREAMING, scripted),
};

/* The descriptor set of served.proto and its imports. */
__asm__(".pushsection .rodata\n"
        "served_files:\n"
        ".incbin \"" SERVED_FILES "\"\n"
        "served_files_end:\n"
        ".popsection\n");
extern const uint8_t served_files[];
extern const uint8_t served_files_end[];

static const char *const hidden_fields[] = {"request_id", NULL};
static const char *const secret_fields[] = {"secret", "labels", NULL};
static const struct mesh_sensitive_type hidden = {&check__v1__hidden__descriptor, hidden_fields};
static const struct mesh_sensitive_type secret = {&check__v1__words__descriptor, secret_fields};
static const struct mesh_sensitive_type *const sensitive[] = {&hidden, &secret, NULL};

static const struct mesh_service_type *served_type(void)
{
    static struct mesh_service_type type = {
        .name = "check.v1.Check",
        .methods = methods,
        .n_methods = sizeof(methods) / sizeof(methods[0]),
        .files = served_files,
        .sensitive = sensitive,
    };

    type.files_size = (size_t)(served_files_end - served_files);
    return &type;
}

const struct mesh_method *served_method(const char *name)
{
    size_t i = 0;

    while (strcmp(methods[i].name, name) != 0) {
        i++;
    }
    return &methods[i];
}

/* ---- server and client -------------------------------------------------------------------- */

void served_init(struct served *served)
{
    memset(served, 0, sizeof(*served));
    served->options = (struct mesh_server_options){
        .service = "check",
        .listen = "127.0.0.1:0",
        .workers = 4,
        .queue_size = 16,
        .queue_bytes = 16 << 20,
        .stream_limit = 8,
        .default_deadline_ms = 5000,
        .max_deadline_ms = 20000,
        .grace_ms = 5000,
        .max_message_bytes = 1 << 20,
        .arena_bytes = 4 << 20,
    };
    MUST(sem_init(&served->entered, 0, 0) == 0);
    MUST(sem_init(&served->leave, 0, 0) == 0);
    served->outcome = -1;
}

void served_start_aloud(struct served *served)
{
    const struct mesh_served services[] = {{served_type(), NULL}, {NULL, NULL}};
    char error[256];

    served->server = mesh__server_new(&served->options, services, served);
    MUST(mesh__server_start(served->server, &served->port, error, sizeof(error)));
    mesh__server_set_serving(served->server, true);
    (void)snprintf(served->target, sizeof(served->target), "127.0.0.1:%d", served->port);
    served->client = mesh_client_new("check", served->target, 30000);
    served->ctx = mesh__ctx_new("test", 0, mesh__in_ms(10000));
}

void served_start(struct served *served)
{
    if (n_capturing++ == 0) { /* not while another server logs */
        mesh__log_capture(keep_line, NULL);
    }
    served->captured = true;
    free(served_take_log());
    served_start_aloud(served);
}

void served_done(struct served *served)
{
    mesh__ctx_free(served->ctx);
    mesh_client_free(served->client);
    mesh__client_thread_done();
    mesh__server_free(served->server);
    if (served->captured && --n_capturing == 0) {
        mesh__log_capture(NULL, NULL);
    }
    (void)sem_destroy(&served->entered);
    (void)sem_destroy(&served->leave);
}

enum mesh_status served_call(struct served *served, const char *method, const char *text,
                             Check__V1__Words **ret_reply)
{
    Words request = CHECK__V1__WORDS__INIT;
    ProtobufCMessage *reply = NULL;
    enum mesh_status status;

    request.text = mesh_strdup(served->ctx, text);
    status =
        mesh_client_call(served->ctx, served->client, served_method(method), &request.base, &reply);
    if (status == MESH_OK && ret_reply != NULL) {
        *ret_reply = (Words *)reply;
    }
    return status;
}

int served_health(struct served *served, const char *service)
{
    Grpc__Health__V1__HealthCheckRequest request;
    ProtobufCMessage *reply = NULL;
    enum mesh_status status;

    grpc__health__v1__health_check_request__init(&request);
    request.service = mesh_strdup(served->ctx, service);
    status = mesh_client_call(served->ctx, served->client, &mesh__health_type.methods[0],
                              &request.base, &reply);
    if (status != MESH_OK) {
        return -(int)status;
    }
    return (int)((Grpc__Health__V1__HealthCheckResponse *)reply)->status;
}

void served_fail(const char *what)
{
    (void)fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

/* ---- on the wire -------------------------------------------------------------------------- */

void served_wire_open(struct served_wire *wire, const struct served *served, const char *path,
                      int64_t deadline_ns)
{
    mesh__wire->start();
    wire->queue = mesh__wire->queue_new();
    wire->channel =
        mesh__wire->channel_new(served->target, &(struct wire_channel_options){.authority = NULL});
    wire->call = mesh__wire->call_new(wire->channel, NULL, wire->queue, path, deadline_ns);
}

void served_wire_send(struct served_wire *wire, const struct served *served, const char *path,
                      int64_t deadline_ns, const void *bytes, size_t size)
{
    struct wire_batch batch = {.ops = WIRE_SEND_INITIAL | WIRE_SEND_MESSAGE | WIRE_SEND_CLOSE |
                                      WIRE_RECV_INITIAL | WIRE_RECV_MESSAGE | WIRE_RECV_STATUS};
    uint8_t *data;

    served_wire_open(wire, served, path, deadline_ns);
    batch.message = mesh__wire->message_new(size, &data);
    if (size > 0) {
        memcpy(data, bytes, size);
    }
    mesh__wire->call_start(wire->call, &batch, wire);
}

void *served_wire_next(struct served_wire *wire, bool *ret_ok)
{
    struct wire_event event = mesh__wire->queue_next(wire->queue, mesh__in_ms(10000));

    MUST(event.kind == WIRE_COMPLETE);
    *ret_ok = event.ok;
    return event.tag;
}

void served_wire_close(struct served_wire *wire)
{
    mesh__wire->call_free(wire->call);
    mesh__wire->channel_free(wire->channel);
    mesh__wire->queue_shutdown(wire->queue);
    MUST(mesh__wire->queue_next(wire->queue, MESH_NO_DEADLINE).kind == WIRE_SHUTDOWN);
    mesh__wire->queue_free(wire->queue);
    mesh__wire->stop();
}

enum mesh_status served_send(const struct served *served, const char *path, int64_t deadline_ns,
                             const void *bytes, size_t size, Check__V1__Words **ret_reply)
{
    struct served_wire wire;
    struct wire_message *reply;
    enum mesh_status status;
    bool ok;

    served_wire_send(&wire, served, path, deadline_ns, bytes, size);
    (void)served_wire_next(&wire, &ok);
    status = mesh__wire->call_status(wire.call);
    reply = mesh__wire->call_take_message(wire.call);
    if (status == MESH_OK && ret_reply != NULL) {
        const uint8_t *data = mesh__wire->message_data(reply, &size);

        *ret_reply = check__v1__words__unpack(NULL, size, data);
    }
    mesh__wire->message_free(reply);
    served_wire_close(&wire);
    return status;
}

/* ---- metrics ------------------------------------------------------------------------------ */

double served_metric(const char *line)
{
    char *text;
    size_t size;
    size_t line_size = strlen(line);
    double value = 0;

    mesh__metrics_write(&text, &size);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
        if ((at == text || at[-1] == '\n') && at[line_size] == ' ') {
            value = strtod(at + line_size, NULL);
        }
    }
    free(text);
    return value;
}
