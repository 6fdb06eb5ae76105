/* SPDX-License-Identifier: Apache-2.0 */
/* The server as a whole: its methods, its two queue threads, start and stop. */
#include "rpc/server.h"

#include "core/clock.h"
#include "core/condition.h"
#include "core/fatal.h"
#include "core/field.h"
#include "core/sensitive.h"
#include "core/text.h"
#include "mesh/metrics.h"
#include "rpc/server_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POSTED_PER_QUEUE 64 /* more cost more: the core looks at all of them at each completion */
#define POSTED_MIN 2
#define SWEEP_MS 100
#define REFLECTION_LIMIT 8
#define LINGER_MS 100
#define CANCEL_MS 5000
#define DEFAULT_MEMORY_BYTES ((size_t)128 << 20)

/* ---- methods ------------------------------------------------------------------------------ */

static const ProtobufCFieldDescriptor *find_request_id(const struct mesh_service_type *type,
                                                       const struct mesh_method *method)
{
    const ProtobufCFieldDescriptor *field = mesh__field_request_id(method->request);

    if (field == NULL || mesh__is_sensitive(type->sensitive, method->request, field->name)) {
        return NULL;
    }
    return field;
}

static void add_method(struct mesh_server *server, const struct mesh_served *served,
                       const struct mesh_method *method, void *state)
{
    struct server_method *added = &server->methods[server->n_methods++];
    bool health = served->type == &mesh__health_type;

    added->server = server;
    added->type = served->type;
    added->method = method;
    added->handlers = served->handlers;
    added->state = state;
    added->log_level = health ? MESH_LOG_DEBUG : MESH_LOG_INFO;
    /* Probes must be answered when all workers are busy, too. */
    if (method->kind == MESH_UNARY) {
        added->lane = health ? SERVER_INLINE : SERVER_WORKER;
    } else {
        added->lane = health ? SERVER_WATCH : SERVER_STREAM;
        added->threads = served->handlers == server->reflection ? server->reflection_threads
                                                                : server->stream_threads;
    }
    added->queue = added->lane == SERVER_WORKER ? &server->unary : &server->stream;
    added->metrics =
        mesh__call_metrics_new(MESH__SERVER, served->type->name, method->name, method->kind);
    added->request_id = find_request_id(served->type, method);
    added->wire = mesh__wire->server_register(server->wire, method->path);
}

static void add_unknown(struct mesh_server *server)
{
    struct server_method *unknown = &server->unknown;

    unknown->server = server;
    unknown->lane = SERVER_UNKNOWN;
    unknown->log_level = MESH_LOG_INFO;
    unknown->queue = &server->stream;
    /* Not by the names that clients make up: each would be kept for ever. */
    unknown->metrics = mesh__call_metrics_new(MESH__SERVER, "unknown", "unknown", MESH_UNARY);
}

/* Health and reflection stand behind the process's own services. */
static void add_services(struct mesh_server *server, const struct mesh_served *services,
                         void *state)
{
    const struct mesh_service_type **types;
    struct mesh_served *all;
    size_t n_own = 0;
    size_t n_methods = 0;
    size_t n;

    while (services[n_own].type != NULL) {
        n_own++;
    }
    n = n_own + 3;
    all = mesh__calloc(n, sizeof(*all));
    types = mesh__calloc(n, sizeof(const struct mesh_service_type *));
    memcpy(all, services, n_own * sizeof(*all));
    all[n_own].type = &mesh__health_type;
    all[n_own + 1].type = &mesh__reflection_type;
    all[n_own + 2].type = &mesh__reflection_alpha_type;
    for (size_t i = 0; i < n; i++) {
        types[i] = all[i].type;
        n_methods += types[i]->n_methods;
    }
    server->health = mesh__health_new(types, n_own, server->options.watch_limit);
    server->reflection = mesh__reflection_new(types, n, server->options.reflection_idle_ms);
    all[n_own].handlers = server->health;
    all[n_own + 1].handlers = server->reflection;
    all[n_own + 2].handlers = server->reflection;
    server->methods = mesh__calloc(n_methods, sizeof(*server->methods));
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < types[i]->n_methods; j++) {
            add_method(server, &all[i], &types[i]->methods[j], state);
        }
    }
    free(types);
    free(all);
}

/* ---- queue threads ------------------------------------------------------------------------ */

static void *take_completions(void *arg)
{
    struct server_queue *queue = arg;

    for (;;) {
        int64_t sweep_ns =
            queue->oldest == NULL ? MESH_NO_DEADLINE : mesh__after_ms(queue->swept_ns, SWEEP_MS);
        struct wire_event event = mesh__wire->queue_next(queue->wire, sweep_ns);

        if (event.kind == WIRE_SHUTDOWN) {
            return NULL;
        }
        if (event.kind == WIRE_COMPLETE) {
            struct server_tag *tag = event.tag;
            struct server_call *call = tag->call; /* may be gone with the reference */

            tag->done(call, event.ok);
            mesh__call_unref(call);
        }
        if (mesh__now_ns() >= sweep_ns) {
            mesh__calls_sweep(queue);
        }
    }
}

static void queue_init(struct mesh_server *server, struct server_queue *queue,
                       struct wire_queue *wire)
{
    queue->server = server;
    queue->wire = wire;
    queue->ctx =
        mesh__ctx_new(server->options.service, server->options.arena_bytes, MESH_NO_DEADLINE);
    mesh__wire->server_add_queue(server->wire, queue->wire);
}

static void queue_start(struct server_queue *queue, const char *name)
{
    if (!mesh__server_thread(&queue->thread, name, take_completions, queue)) {
        mesh__fatal("no thread can be made for the server's queue");
    }
    queue->running = true;
}

/* Ends the thread, or drains the queue of a server that was never started. */
static void queue_stop(struct server_queue *queue)
{
    if (queue->wire == NULL) {
        return;
    }
    mesh__wire->queue_shutdown(queue->wire);
    if (queue->running) {
        (void)pthread_join(queue->thread, NULL);
        queue->running = false;
    } else {
        (void)take_completions(queue);
    }
}

static void queue_done(struct server_queue *queue)
{
    mesh__wire->queue_free(queue->wire);
    queue->wire = NULL;
    mesh__ctx_free(queue->ctx);
    queue->ctx = NULL;
}

/* ---- life --------------------------------------------------------------------------------- */

static int clamp_ms(int64_t ms)
{
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

struct mesh_server *mesh__server_new(const struct mesh_server_options *options,
                                     const struct mesh_served *services, void *state)
{
    struct mesh_server *server = mesh__calloc(1, sizeof(*server));
    struct wire_server_options wire_options = {
        .max_connection_streams = options->max_connection_streams,
        .keepalive_ms = options->keepalive_ms,
        .keepalive_timeout_ms = options->keepalive_timeout_ms,
        .max_connection_age_ms = clamp_ms(options->max_connection_age_ms),
    };

    server->options = *options;
    if (server->options.memory_bytes == 0) {
        server->options.memory_bytes = DEFAULT_MEMORY_BYTES;
    }
    wire_options.memory_bytes = server->options.memory_bytes;
    if (pthread_mutex_init(&server->mutex, NULL) != 0) {
        mesh__fatal("no memory for a mutex");
    }
    mesh__condition_init(&server->no_calls);
    mesh__wire->start();
    server->wire = mesh__wire->server_new(&wire_options);
    queue_init(server, &server->unary, mesh__wire->queue_new());
    /* One thread reads all connections: two would wake each other for every call. */
    queue_init(server, &server->stream, mesh__wire->queue_new_told());
    server->stream_threads = mesh__stream_threads_new(server, options->stream_limit);
    /* Long streams that are idle must not keep those out who ask what is served here. */
    server->reflection_threads = mesh__stream_threads_new(
        server, options->reflection_limit > 0 ? options->reflection_limit : REFLECTION_LIMIT);
    add_services(server, services, state);
    add_unknown(server);
    server->untaken =
        mesh_counter("mesh_server_untaken_answers_total",
                     "Calls cancelled because the client did not take the answer.", NULL);
    server->workers = mesh__workers_new(server);
    return server;
}

static void post(struct mesh_server *server, const struct server_queue *queue)
{
    int n_methods = queue == &server->stream ? 1 : 0; /* the unknown ones */
    int each;

    for (size_t i = 0; i < server->n_methods; i++) {
        n_methods += server->methods[i].queue == queue ? 1 : 0;
    }
    if (n_methods == 0) {
        return;
    }
    each = POSTED_PER_QUEUE / n_methods;
    each = each < POSTED_MIN ? POSTED_MIN : each;
    for (int i = 0; i < each; i++) {
        for (size_t j = 0; j < server->n_methods; j++) {
            if (server->methods[j].queue == queue) {
                mesh__call_request(&server->methods[j]);
            }
        }
        if (queue == &server->stream) {
            mesh__call_request(&server->unknown);
        }
    }
}

/* Looks before the core does, which would write a warning of its own. */
static bool listen_on(struct mesh_server *server, const struct mesh__address *address,
                      int *ret_port, char *error, size_t error_size)
{
    char text[MESH__ADDRESS_TEXT];
    int fd = mesh__listen_on(address);
    int failure = errno;

    mesh__address_format(address, text);
    if (fd >= 0) {
        (void)close(fd);
        if (mesh__wire->server_listen(server->wire, text, ret_port)) {
            return true;
        }
        failure = EADDRINUSE; /* somebody was faster than we */
    }
    (void)snprintf(error, error_size, "cannot listen on %s%s%s%s: %s", server->options.listen,
                   server->n_addresses > 1 ? " (" : "", server->n_addresses > 1 ? text : "",
                   server->n_addresses > 1 ? ")" : "", strerror(failure));
    return false;
}

bool mesh__server_start(struct mesh_server *server, int *ret_port, char *error, size_t error_size)
{
    struct mesh__address *addresses = server->addresses;
    int port = 0;

    server->n_addresses =
        mesh__resolve(server->options.listen, addresses, MAX_ADDRESSES, error, error_size);
    if (server->n_addresses == 0) {
        return false;
    }
    for (size_t i = 0; i < server->n_addresses; i++) {
        if (port != 0) {
            mesh__address_set_port(&addresses[i], port); /* the same for all, if any may be had */
        }
        if (!listen_on(server, &addresses[i], &port, error, error_size)) {
            return false;
        }
        mesh__address_set_port(&addresses[i], port);
    }
    mesh__wire->server_start(server->wire);
    post(server, &server->unary);
    post(server, &server->stream);
    mesh__workers_start(server->workers);
    queue_start(&server->unary, "mesh-unary");
    queue_start(&server->stream, "mesh-stream-q");
    server->started = true;
    *ret_port = port;
    return true;
}

void mesh__server_set_serving(struct mesh_server *server, bool serving)
{
    mesh__health_set(server->health, serving);
}

/* Until no call is requested or under way; false if that is not so at until_ns. */
static bool wait_for_calls(struct mesh_server *server, int64_t until_ns)
{
    bool in_time = true;

    (void)pthread_mutex_lock(&server->mutex);
    while (atomic_load(&server->n_calls) > 0 && in_time) {
        in_time = mesh__condition_wait(&server->no_calls, &server->mutex, until_ns);
    }
    (void)pthread_mutex_unlock(&server->mutex);
    return atomic_load(&server->n_calls) == 0;
}

static void add_running(struct mesh__text *text, const struct server_method *method)
{
    int n = atomic_load(&method->n_running);

    if (n > 0) {
        mesh__text_printf(text, " %s (%d)", method->method->path, n);
    }
}

/* What their handlers use would be taken away under them. */
static _Noreturn void end_without(const struct mesh_server *server, int64_t waited_ms)
{
    struct mesh__text methods = {0};

    for (size_t i = 0; i < server->n_methods; i++) {
        add_running(&methods, &server->methods[i]);
    }
    mesh__fatal("%zu calls have ignored their cancellation for %lld ms, the process ends without "
                "them:%s",
                atomic_load(&server->n_calls), (long long)waited_ms,
                methods.bytes == NULL ? "" : methods.bytes);
}

void mesh__server_stop(struct mesh_server *server)
{
    const struct mesh_server_options *options = &server->options;
    int64_t cancel_ms = options->cancel_ms > 0 ? options->cancel_ms : CANCEL_MS;
    bool done;

    if (!server->started) {
        return;
    }
    server->started = false;
    mesh__server_set_serving(server, false);
    if (options->lame_duck_ms > 0) {
        mesh__sleep_until(mesh__in_ms(options->lame_duck_ms)); /* clients turn to other replicas */
    }
    mesh__health_stop(server->health);
    atomic_store(&server->stopping, true);
    mesh__wire->server_close(server->wire);
    done = wait_for_calls(server, mesh__in_ms(options->grace_ms));
    /* Clients end their connections by themselves, so that the last answers are not cut off; who
     * does not is not waited for. */
    mesh__wire->server_shutdown(server->wire, done ? LINGER_MS * MESH_NS_PER_MS : 0);
    /* The core is done with its calls when they are cancelled; handlers may still be at work. */
    if (!wait_for_calls(server, mesh__in_ms(cancel_ms))) {
        end_without(server, cancel_ms);
    }
    queue_stop(&server->unary);
    queue_stop(&server->stream);
    mesh__workers_free(server->workers);
    server->workers = NULL;
    mesh__stream_threads_free(server->stream_threads);
    mesh__stream_threads_free(server->reflection_threads);
    server->stream_threads = NULL;
    server->reflection_threads = NULL;
}

void mesh__server_free(struct mesh_server *server)
{
    if (server == NULL) {
        return;
    }
    mesh__server_stop(server);
    mesh__wire->server_shutdown(server->wire, 0);
    if (server->workers != NULL) { /* it was never started */
        queue_stop(&server->unary);
        queue_stop(&server->stream);
    }
    mesh__workers_free(server->workers);
    mesh__stream_threads_free(server->stream_threads);
    mesh__stream_threads_free(server->reflection_threads);
    mesh__wire->server_free(server->wire);
    queue_done(&server->unary);
    queue_done(&server->stream);
    mesh__wire->stop();
    for (size_t i = 0; i < server->n_methods; i++) {
        mesh__call_metrics_free(server->methods[i].metrics);
    }
    mesh__call_metrics_free(server->unknown.metrics);
    free(server->methods);
    mesh__health_free(server->health);
    mesh__reflection_free(server->reflection);
    (void)pthread_cond_destroy(&server->no_calls);
    (void)pthread_mutex_destroy(&server->mutex);
    free(server);
}
