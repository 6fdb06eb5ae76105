/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health: Check and List at once, Watch by the queue thread and whoever changes. */
#include "core/clock.h"
#include "core/fatal.h"
#include "grpc/health/v1/health.pb-c.h"
#include "rpc/server_impl.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_WATCH_LIMIT 1000
#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

typedef Grpc__Health__V1__HealthCheckRequest CheckRequest;
typedef Grpc__Health__V1__HealthCheckResponse CheckResponse;
typedef Grpc__Health__V1__HealthListResponse ListResponse;
typedef Grpc__Health__V1__HealthListResponse__StatusesEntry ListEntry;

/* One call of Watch. Its fields belong to the mutex of health once it is in the list. */
struct watcher {
    struct watcher *next;
    struct server_call *call;
    struct server_tag received, written;
    bool known; /* the service that it asks for */
    bool listed;
    bool writing; /* a message is under way */
    bool ending;  /* the answer waits for that message */
    bool answered;
    int shown_status; /* sent last; -1 before */
};

struct health {
    pthread_mutex_t mutex;
    const char **services; /* beside "" */
    size_t n_services;
    bool serving; /* all services stand and fall together */
    bool stopped;
    struct watcher *watchers;
    int watch_limit;
    atomic_int n_watches; /* calls, until they are over */
};

struct health *mesh__health_new(const struct mesh_service_type *const *types, size_t n_types,
                                int watch_limit)
{
    struct health *health = mesh__calloc(1, sizeof(*health));

    health->watch_limit = watch_limit > 0 ? watch_limit : DEFAULT_WATCH_LIMIT;

    health->services = mesh__calloc(n_types + 1, sizeof(*health->services));
    for (size_t i = 0; i < n_types; i++) {
        health->services[i] = types[i]->name;
    }
    health->n_services = n_types;
    if (pthread_mutex_init(&health->mutex, NULL) != 0) {
        mesh__fatal("no memory for a mutex");
    }
    return health;
}

void mesh__health_free(struct health *health)
{
    if (health == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&health->mutex);
    free(health->services);
    free(health);
}

static bool is_known(const struct health *health, const char *service)
{
    if (service[0] == '\0') {
        return true;
    }
    for (size_t i = 0; i < health->n_services; i++) {
        if (strcmp(health->services[i], service) == 0) {
            return true;
        }
    }
    return false;
}

static int status_now(struct health *health)
{
    bool serving;

    (void)pthread_mutex_lock(&health->mutex);
    serving = health->serving;
    (void)pthread_mutex_unlock(&health->mutex);
    return serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

/* ---- Check and List ----------------------------------------------------------------------- */

/* Tables of handlers are constant to their dispatchers; this one has a state. */
static struct health *of(const void *handlers)
{
    return (struct health *)(uintptr_t)handlers;
}

static MESH_STATUS check(struct mesh_ctx *ctx, const void *handlers, void *service,
                         const ProtobufCMessage *request, ProtobufCMessage *response,
                         struct mesh_stream *stream)
{
    const CheckRequest *asked = (const CheckRequest *)request;
    struct health *health = of(handlers);

    (void)service;
    (void)stream;
    if (!is_known(health, asked->service)) {
        return mesh_fail(ctx, MESH_NOT_FOUND, "service %s is not served here", asked->service);
    }
    ((CheckResponse *)response)->status = (unsigned)status_now(health);
    return MESH_OK;
}

static MESH_STATUS list(struct mesh_ctx *ctx, const void *handlers, void *service,
                        const ProtobufCMessage *request, ProtobufCMessage *response,
                        struct mesh_stream *stream)
{
    struct health *health = of(handlers);
    ListResponse *statuses = (ListResponse *)response;
    CheckResponse *now = mesh_alloc(ctx, sizeof(*now));
    size_t n = health->n_services + 1;
    ListEntry *entries = mesh_alloc(ctx, n * sizeof(*entries));

    (void)service;
    (void)request;
    (void)stream;
    grpc__health__v1__health_check_response__init(now);
    now->status = (unsigned)status_now(health);
    statuses->statuses = mesh_alloc(ctx, n * sizeof(void *));
    statuses->n_statuses = n;
    for (size_t i = 0; i < n; i++) {
        grpc__health__v1__health_list_response__statuses_entry__init(&entries[i]);
        entries[i].key = mesh_strdup(ctx, i == 0 ? "" : health->services[i - 1]);
        entries[i].value = now;
        statuses->statuses[i] = &entries[i];
    }
    return MESH_OK;
}

/* ---- Watch -------------------------------------------------------------------------------- */

static struct health *health_of(const struct server_call *call)
{
    return call->method->server->health;
}

/* Shows the status of now if it was not shown yet. With the mutex held. */
static void show(struct health *health, struct watcher *watcher)
{
    CheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    struct wire_batch batch = {.ops = WIRE_SEND_MESSAGE};
    int status = health->serving ? STATUS(SERVING) : STATUS(NOT_SERVING);

    if (!watcher->known) {
        status = STATUS(SERVICE_UNKNOWN);
    }
    if (watcher->writing || watcher->answered || watcher->shown_status == status) {
        return;
    }
    if (!watcher->call->initial_sent) {
        batch.ops |= WIRE_SEND_INITIAL;
        watcher->call->initial_sent = true;
    }
    response.status = (unsigned)status;
    batch.message = mesh__call_pack(&response.base);
    watcher->shown_status = status;
    watcher->writing = true;
    mesh__call_batch(watcher->call, &batch, &watcher->written);
}

/* With the mutex held. ctx is any that is clean. */
static void end(struct watcher *watcher, struct mesh_ctx *ctx, enum mesh_status status,
                const char *text)
{
    if (watcher->answered) {
        return;
    }
    watcher->answered = true;
    mesh__call_refuse(watcher->call, ctx, status, NULL, text);
}

static void end_stopped(struct watcher *watcher, struct mesh_ctx *ctx)
{
    if (watcher->writing) {
        watcher->ending = true;
        return;
    }
    end(watcher, ctx, MESH_UNAVAILABLE, mesh__stopping_text);
}

static void on_written(struct server_call *call, bool ok)
{
    struct watcher *watcher = call->owner;
    struct health *health = health_of(call);

    (void)pthread_mutex_lock(&health->mutex);
    watcher->writing = false;
    if (watcher->ending) {
        end_stopped(watcher, call->method->queue->ctx);
    } else if (ok) {
        show(health, watcher); /* it may have changed meanwhile */
    }
    (void)pthread_mutex_unlock(&health->mutex);
}

/* With the mutex held. */
static void unlist(struct health *health, struct watcher *watcher)
{
    struct watcher **link = &health->watchers;

    if (!watcher->listed) {
        return;
    }
    while (*link != watcher) { /* it is there */
        link = &(*link)->next;
    }
    *link = watcher->next;
    watcher->listed = false;
}

static void on_watch_closed(struct server_call *call)
{
    struct watcher *watcher = call->owner;
    struct health *health = health_of(call);

    (void)pthread_mutex_lock(&health->mutex);
    unlist(health, watcher);
    end(watcher, call->method->queue->ctx, MESH_CANCELLED, "the client has ended the watch");
    (void)pthread_mutex_unlock(&health->mutex);
}

static void admit(struct health *health, struct watcher *watcher)
{
    (void)pthread_mutex_lock(&health->mutex);
    if (!watcher->answered) {
        watcher->next = health->watchers;
        watcher->listed = true;
        health->watchers = watcher;
        show(health, watcher);
        if (health->stopped) {
            end_stopped(watcher, watcher->call->method->queue->ctx);
        }
    }
    (void)pthread_mutex_unlock(&health->mutex);
}

static void on_received(struct server_call *call, bool ok)
{
    struct watcher *watcher = call->owner;
    struct mesh_ctx *ctx = call->method->queue->ctx;
    ProtobufCMessage *request = NULL;
    enum mesh_status status;

    if (!ok || watcher->answered) {
        return; /* the call is over, as its close has told or will tell */
    }
    mesh__call_enter(call, ctx);
    status = mesh__call_unpack(call, ctx, ctx, mesh__wire->call_take_message(call->wire), &request);
    if (status == MESH_OK) {
        watcher->known = is_known(health_of(call), ((const CheckRequest *)request)->service);
    } else {
        watcher->answered = true;
        mesh__call_finish(call, ctx, status, NULL, NULL);
    }
    mesh__call_leave(ctx);
    admit(health_of(call), watcher);
}

static void release(struct server_call *call)
{
    free(call->owner);
    atomic_fetch_sub(&health_of(call)->n_watches, 1);
}

void mesh__health_watch(struct server_call *call)
{
    struct health *health = health_of(call);
    struct watcher *watcher;

    if (atomic_load(&health->n_watches) >= health->watch_limit) { /* only this thread adds */
        mesh__call_refuse(call, call->method->queue->ctx, MESH_RESOURCE_EXHAUSTED, "watch_limit",
                          "the server has too many watches");
        return;
    }
    atomic_fetch_add(&health->n_watches, 1);
    watcher = mesh__calloc(1, sizeof(*watcher));
    watcher->call = call;
    watcher->shown_status = -1;
    watcher->received.done = on_received;
    watcher->written.done = on_written;
    call->owner = watcher;
    call->release = release;
    call->closed_hook = on_watch_closed;
    mesh__call_batch(call, &(struct wire_batch){.ops = WIRE_RECV_MESSAGE}, &watcher->received);
}

/* ---- changes ------------------------------------------------------------------------------ */

void mesh__health_set(struct health *health, bool serving)
{
    (void)pthread_mutex_lock(&health->mutex);
    health->serving = serving;
    for (struct watcher *watcher = health->watchers; watcher != NULL; watcher = watcher->next) {
        show(health, watcher);
    }
    (void)pthread_mutex_unlock(&health->mutex);
}

void mesh__health_stop(struct health *health)
{
    struct mesh_ctx *ctx = mesh__ctx_new("", 0, MESH_NO_DEADLINE);

    (void)pthread_mutex_lock(&health->mutex);
    health->stopped = true;
    for (struct watcher *watcher = health->watchers; watcher != NULL; watcher = watcher->next) {
        end_stopped(watcher, ctx);
    }
    (void)pthread_mutex_unlock(&health->mutex);
    mesh__ctx_free(ctx);
}

/* ---- the service -------------------------------------------------------------------------- */

static const struct mesh_method methods[] = {
    {
        .path = "/grpc.health.v1.Health/Check",
        .name = "Check",
        .kind = MESH_UNARY,
        .idempotency = MESH_NO_SIDE_EFFECTS,
        .request = &grpc__health__v1__health_check_request__descriptor,
        .response = &grpc__health__v1__health_check_response__descriptor,
        .dispatch = check,
    },
    {
        .path = "/grpc.health.v1.Health/List",
        .name = "List",
        .kind = MESH_UNARY,
        .idempotency = MESH_NO_SIDE_EFFECTS,
        .request = &grpc__health__v1__health_list_request__descriptor,
        .response = &grpc__health__v1__health_list_response__descriptor,
        .dispatch = list,
    },
    {
        .path = "/grpc.health.v1.Health/Watch",
        .name = "Watch",
        .kind = MESH_SERVER_STREAMING,
        .idempotency = MESH_NO_SIDE_EFFECTS,
        .request = &grpc__health__v1__health_check_request__descriptor,
        .response = &grpc__health__v1__health_check_response__descriptor,
    },
};

const struct mesh_service_type mesh__health_type = {
    .name = "grpc.health.v1.Health",
    .methods = methods,
    .n_methods = sizeof(methods) / sizeof(methods[0]),
};
