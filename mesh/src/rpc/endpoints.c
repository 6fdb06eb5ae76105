/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/endpoints.h"

#include "core/clock.h"
#include "core/condition.h"
#include "core/fatal.h"
#include "core/text.h"
#include "core/thread.h"
#include "mesh/log.h"
#include "mesh/metrics.h"
#include "rpc/resolver.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/*
 * When all have failed a call makes them connect once more, at most so often, and waits so long for
 * it: the balancer of the core does not tell that one connects after it has failed.
 */
#define CONNECT_APART_MS 100
#define HOPE_MS 50

/*
 * Who waits on a queue reads connections for everybody. While nothing is to come the watching
 * thread leaves that to the callers, whose answers would otherwise take the way through it, and
 * looks so often, for so long, in case there are none.
 */
#define LOOK_APART_MS 100
#define LOOK_MS 1

/*
 * Held once by the set that it is a member of and once by each attempt. When nobody holds it its
 * channel is freed, and when the watch of that has ended, so is the rest.
 */
struct endpoint {
    struct mesh__endpoint choice; /* first: the address of both */
    char *address;
    struct wire_channel *channel; /* NULL: it was freed */
    enum wire_channel_state state;
    _Atomic int64_t refs;
};

struct mesh__endpoints {
    char *name;
    char *authority;
    struct mesh__resolver *resolver; /* NULL: the target is the only endpoint */
    bool watch_health;
    struct mesh__ejection *ejection;
    struct mesh_counter *ejections, *panics;
    struct wire_queue *queue; /* of the watches */
    pthread_t thread;
    pthread_mutex_t mutex;  /* for what follows */
    pthread_cond_t ended;   /* n_alive is 0 */
    pthread_cond_t stirred; /* is_calm() may have become false */
    struct mesh__endpoint *members[MESH__ENDPOINTS_MAX];
    size_t n;
    size_t n_alive;     /* members, and those that are being drained */
    size_t n_closing;   /* of these: their channels are freed, their watches have not ended */
    bool ends;          /* the queue was shut down */
    bool lookup_failed; /* and nothing was found since */
    int64_t connect_ns; /* when all were last made to connect; 0: never */
    enum mesh__load_balancer balancer;
    _Atomic uint64_t turn;
    struct mesh__pick *waiting;
};

static struct endpoint *of(struct mesh__endpoint *choice)
{
    return (struct endpoint *)choice;
}

struct wire_channel *mesh__endpoint_channel(const struct mesh__endpoint *endpoint)
{
    return ((const struct endpoint *)endpoint)->channel;
}

const char *mesh__endpoint_address(const struct mesh__endpoint *endpoint)
{
    return ((const struct endpoint *)endpoint)->address;
}

/* ---- who waits; under the mutex ------------------------------------------------------------- */

static void wake_all(struct mesh__endpoints *endpoints)
{
    while (endpoints->waiting != NULL) {
        struct mesh__pick *pick = endpoints->waiting;

        endpoints->waiting = pick->next;
        pick->waits = false;
        mesh__wire->queue_wake(pick->queue, pick->tag);
    }
}

static void wait_for_change(struct mesh__endpoints *endpoints, struct mesh__pick *pick)
{
    pick->waits = true;
    pick->next = endpoints->waiting;
    endpoints->waiting = pick;
}

static void forget(struct mesh__endpoints *endpoints, struct mesh__pick *pick)
{
    struct mesh__pick **link = &endpoints->waiting;

    if (!pick->waits) {
        return;
    }
    while (*link != pick) { /* it is there as long as it waits */
        link = &(*link)->next;
    }
    *link = pick->next;
    pick->waits = false;
}

void mesh__endpoints_forget(struct mesh__endpoints *endpoints, struct mesh__pick *pick)
{
    pthread_mutex_lock(&endpoints->mutex);
    forget(endpoints, pick);
    pthread_mutex_unlock(&endpoints->mutex);
}

/* ---- the state of each; under the mutex ----------------------------------------------------- */

static void set_state(struct mesh__endpoints *endpoints, struct endpoint *endpoint,
                      enum wire_channel_state state)
{
    endpoint->state = state;
    atomic_store(&endpoint->choice.ready, state == WIRE_READY);
    if (state != WIRE_READY) {
        pthread_cond_signal(&endpoints->stirred);
    }
}

/* Takes the state that the channel has now, and watches what comes after it. */
static void watch(struct mesh__endpoints *endpoints, struct endpoint *endpoint)
{
    set_state(endpoints, endpoint, mesh__wire->channel_state(endpoint->channel, true));
    mesh__wire->channel_watch(endpoint->channel, endpoint->state, endpoints->queue, endpoint);
}

static void add(struct mesh__endpoints *endpoints, const char *address)
{
    /* What stands behind such a name is the core's: its rules are found by the name itself. */
    bool xds = mesh__target_is_xds(address);
    const struct wire_channel_options options = {.authority = xds ? NULL : endpoints->authority,
                                                 .watch_health = endpoints->watch_health && !xds};
    struct endpoint *endpoint = mesh__calloc(1, sizeof(*endpoint));

    endpoint->address = mesh__strdup(address);
    endpoint->channel = mesh__wire->channel_new(address, &options);
    atomic_store(&endpoint->refs, 1);
    mesh__ejection_add(endpoints->ejection, &endpoint->choice.ejection);
    endpoints->members[endpoints->n++] = &endpoint->choice;
    endpoints->n_alive++;
    watch(endpoints, endpoint);
}

static void release(struct mesh__endpoints *endpoints, struct endpoint *endpoint)
{
    if (atomic_fetch_sub(&endpoint->refs, 1) == 1) {
        mesh__wire->channel_free(endpoint->channel);
        endpoint->channel = NULL;
        endpoints->n_closing++;
        pthread_cond_signal(&endpoints->stirred);
    }
}

static void remove_at(struct mesh__endpoints *endpoints, size_t i)
{
    struct mesh__endpoint *endpoint = endpoints->members[i];

    endpoints->members[i] = endpoints->members[--endpoints->n];
    mesh__ejection_remove(endpoints->ejection, &endpoint->ejection);
    release(endpoints, of(endpoint));
}

static void endpoint_free(struct mesh__endpoints *endpoints, struct endpoint *endpoint)
{
    free(endpoint->address);
    free(endpoint);
    endpoints->n_closing--;
    if (--endpoints->n_alive == 0) {
        pthread_cond_broadcast(&endpoints->ended);
    }
}

static void on_change(struct mesh__endpoints *endpoints, struct endpoint *endpoint)
{
    if (endpoint->channel == NULL) {
        endpoint_free(endpoints, endpoint);
        return;
    }
    watch(endpoints, endpoint);
    wake_all(endpoints);
}

/* All are ready: no change is waited for. */
static bool is_calm(const struct mesh__endpoints *endpoints)
{
    bool calm = endpoints->n_closing == 0 && !endpoints->ends;

    for (size_t i = 0; i < endpoints->n; i++) {
        calm = calm && of(endpoints->members[i])->state == WIRE_READY;
    }
    return calm;
}

static void rest(struct mesh__endpoints *endpoints)
{
    int64_t until_ns = mesh__in_ms(LOOK_APART_MS);
    bool in_time = true;

    while (is_calm(endpoints) && in_time) {
        in_time = mesh__condition_wait(&endpoints->stirred, &endpoints->mutex, until_ns);
    }
}

static void *watch_main(void *arg)
{
    struct mesh__endpoints *endpoints = arg;
    int64_t until_ns = MESH_NO_DEADLINE;
    struct wire_event event;

    while ((event = mesh__wire->queue_next(endpoints->queue, until_ns)).kind != WIRE_SHUTDOWN) {
        pthread_mutex_lock(&endpoints->mutex);
        if (event.kind == WIRE_COMPLETE) {
            on_change(endpoints, event.tag);
        } else {
            rest(endpoints);
        }
        until_ns = is_calm(endpoints) ? mesh__in_ms(LOOK_MS) : MESH_NO_DEADLINE;
        pthread_mutex_unlock(&endpoints->mutex);
    }
    return NULL;
}

/* ---- who comes and goes --------------------------------------------------------------------- */

static void on_addresses(void *arg, const struct mesh__address *added, size_t n_added,
                         const struct mesh__address *removed, size_t n_removed)
{
    struct mesh__endpoints *endpoints = arg;
    bool first;

    pthread_mutex_lock(&endpoints->mutex);
    first = endpoints->n == 0;
    endpoints->lookup_failed = false;
    for (size_t i = 0; i < n_removed; i++) {
        for (size_t at = endpoints->n; at-- > 0;) {
            if (strcmp(of(endpoints->members[at])->address, removed[i].text) == 0) {
                remove_at(endpoints, at);
            }
        }
    }
    for (size_t i = 0; i < n_added; i++) {
        add(endpoints, added[i].text);
    }
    wake_all(endpoints);
    pthread_mutex_unlock(&endpoints->mutex);
    mesh_log(first ? MESH_LOG_DEBUG : MESH_LOG_INFO,
             MESH_LOG_FIELDS(mesh_log_text("destination", endpoints->name),
                             mesh_log_int("added", (int64_t)n_added),
                             mesh_log_int("removed", (int64_t)n_removed)),
             "endpoints have changed");
}

static void on_lookup_failed(void *arg, const char *reason)
{
    struct mesh__endpoints *endpoints = arg;

    pthread_mutex_lock(&endpoints->mutex);
    endpoints->lookup_failed = true;
    wake_all(endpoints);
    pthread_mutex_unlock(&endpoints->mutex);
    mesh_log(MESH_LOG_WARN, MESH_LOG_FIELDS(mesh_log_text("destination", endpoints->name)),
             "its endpoints cannot be looked up: %s", reason);
}

static void on_ejection(void *arg, struct mesh__ejection_host *host, int64_t for_ms)
{
    struct mesh__endpoints *endpoints = arg;
    const struct endpoint *endpoint = (const struct endpoint *)host; /* its first member's first */

    if (for_ms > 0) {
        mesh_counter_add(endpoints->ejections, 1);
    }
    mesh_log(for_ms > 0 ? MESH_LOG_WARN : MESH_LOG_INFO,
             MESH_LOG_FIELDS(mesh_log_text("destination", endpoints->name),
                             mesh_log_text("endpoint", endpoint->address),
                             mesh_log_int("for_ms", for_ms)),
             for_ms > 0 ? "an endpoint is ejected" : "an endpoint is back after its ejection");
}

/* ---- attempts ------------------------------------------------------------------------------- */

static void connect_all(struct mesh__endpoints *endpoints)
{
    endpoints->connect_ns = mesh__now_ns();
    for (size_t i = 0; i < endpoints->n; i++) {
        mesh__wire->channel_reset_backoff(of(endpoints->members[i])->channel);
    }
}

static bool all_have_failed(const struct mesh__endpoints *endpoints)
{
    bool failed = endpoints->n > 0 || endpoints->lookup_failed;

    for (size_t i = 0; i < endpoints->n; i++) {
        failed = failed && of(endpoints->members[i])->state == WIRE_FAILING;
    }
    return failed;
}

static enum mesh__picked none_is_ready(struct mesh__endpoints *endpoints, struct mesh__pick *pick)
{
    pick->until_ns = MESH_NO_DEADLINE;
    if (all_have_failed(endpoints)) {
        int64_t now_ns = mesh__now_ns();

        if (now_ns >= mesh__after_ms(endpoints->connect_ns, CONNECT_APART_MS)) {
            connect_all(endpoints);
        }
        pick->until_ns = mesh__after_ms(endpoints->connect_ns, HOPE_MS);
        if (endpoints->n == 0 || now_ns >= pick->until_ns) {
            return MESH__PICK_HAS_NONE;
        }
    }
    wait_for_change(endpoints, pick);
    return MESH__PICK_WAITS;
}

/* One that is ready at this moment; NULL: none is. Who watches may not have seen it yet. */
static struct mesh__endpoint *choose(struct mesh__endpoints *endpoints,
                                     const struct mesh__pick *pick, bool *ret_panic)
{
    const struct mesh__endpoint_choice choice = {
        .endpoints = endpoints->members,
        .n = endpoints->n,
        .tried = pick->tried,
        .n_tried = pick->n_tried,
        .balancer = endpoints->balancer,
        .ejection = endpoints->ejection,
        .turn = &endpoints->turn,
    };
    struct mesh__endpoint *chosen;

    while ((chosen = mesh__endpoint_choose(&choice, ret_panic)) != NULL) {
        enum wire_channel_state state = mesh__wire->channel_state(of(chosen)->channel, false);

        if (state == WIRE_READY) {
            break;
        }
        mesh__endpoint_leave(chosen);
        set_state(endpoints, of(chosen), state);
    }
    return chosen;
}

enum mesh__picked mesh__endpoints_pick(struct mesh__endpoints *endpoints, struct mesh__pick *pick,
                                       struct mesh__endpoint **ret_endpoint)
{
    enum mesh__picked picked = MESH__PICKED;
    bool panic;

    pthread_mutex_lock(&endpoints->mutex);
    forget(endpoints, pick);
    *ret_endpoint = choose(endpoints, pick, &panic);
    if (*ret_endpoint == NULL) {
        picked = none_is_ready(endpoints, pick);
    } else {
        atomic_fetch_add(&of(*ret_endpoint)->refs, 1);
        mesh_counter_add(endpoints->panics, panic);
    }
    pthread_mutex_unlock(&endpoints->mutex);
    if (picked == MESH__PICKED && pick->n_tried < MESH__TRIED_MAX) {
        pick->tried[pick->n_tried++] = *ret_endpoint;
    }
    return picked;
}

static bool give_unless_last(struct endpoint *endpoint)
{
    int64_t refs = atomic_load(&endpoint->refs);

    while (refs > 1) {
        if (atomic_compare_exchange_weak(&endpoint->refs, &refs, refs - 1)) {
            return true;
        }
    }
    return false;
}

void mesh__endpoints_leave(struct mesh__endpoints *endpoints, struct mesh__endpoint *endpoint,
                           enum mesh__ejection_result result)
{
    mesh__ejection_report(endpoints->ejection, &endpoint->ejection, result);
    mesh__endpoint_leave(endpoint);
    if (give_unless_last(of(endpoint))) {
        return;
    }
    pthread_mutex_lock(&endpoints->mutex); /* it is no member any more */
    release(endpoints, of(endpoint));
    pthread_mutex_unlock(&endpoints->mutex);
}

void mesh__endpoints_look_up(struct mesh__endpoints *endpoints)
{
    if (endpoints->resolver != NULL) {
        mesh__resolver_kick(endpoints->resolver);
    }
}

void mesh__endpoints_connect(struct mesh__endpoints *endpoints)
{
    pthread_mutex_lock(&endpoints->mutex);
    connect_all(endpoints);
    pthread_mutex_unlock(&endpoints->mutex);
}

/* ---- life ----------------------------------------------------------------------------------- */

void mesh__endpoints_set(struct mesh__endpoints *endpoints,
                         const struct mesh__destination_values *values)
{
    const struct mesh__ejection_settings settings = {
        .consecutive_5xx = values->consecutive_5xx_errors,
        .consecutive_gateway_errors = values->consecutive_gateway_errors,
        .interval_ms = values->ejection_interval_ms,
        .base_ms = values->base_ejection_time_ms,
        .max_percent = values->max_ejection_percent,
        .min_health_percent = values->min_health_percent,
    };

    mesh__ejection_set(endpoints->ejection, &settings);
    pthread_mutex_lock(&endpoints->mutex);
    endpoints->balancer = (enum mesh__load_balancer)values->load_balancer;
    pthread_mutex_unlock(&endpoints->mutex);
}

struct mesh__endpoints *mesh__endpoints_new(const struct mesh__endpoints_options *options)
{
    struct mesh__endpoints *endpoints = mesh__calloc(1, sizeof(*endpoints));
    const char *const labels[] = {"destination", options->name, NULL};
    const struct mesh__resolver_events events = {
        .changed = on_addresses, .failed = on_lookup_failed, .arg = endpoints};

    endpoints->name = mesh__strdup(options->name);
    endpoints->authority = mesh__strdup(options->authority);
    endpoints->watch_health = options->watch_health;
    endpoints->ejections = mesh_counter("mesh_client_ejections_total",
                                        "Endpoints that were ejected for a time.", labels);
    endpoints->panics =
        mesh_counter("mesh_client_panics_total",
                     "Attempts that went to any endpoint, as too few were left healthy.", labels);
    endpoints->ejection =
        mesh__ejection_new(&(struct mesh__ejection_settings){0}, on_ejection, endpoints);
    pthread_mutex_init(&endpoints->mutex, NULL);
    mesh__condition_init(&endpoints->ended);
    mesh__condition_init(&endpoints->stirred);
    endpoints->queue = mesh__wire->queue_new();
    mesh__thread_start(&endpoints->thread, "mesh-peer", watch_main, endpoints);
    endpoints->resolver = mesh__resolver_new(options->target, &events);
    if (endpoints->resolver == NULL) {
        pthread_mutex_lock(&endpoints->mutex);
        add(endpoints, options->target);
        pthread_mutex_unlock(&endpoints->mutex);
    }
    return endpoints;
}

void mesh__endpoints_free(struct mesh__endpoints *endpoints)
{
    if (endpoints == NULL) {
        return;
    }
    mesh__resolver_free(endpoints->resolver);
    pthread_mutex_lock(&endpoints->mutex);
    while (endpoints->n > 0) {
        remove_at(endpoints, endpoints->n - 1);
    }
    while (endpoints->n_alive > 0) {
        (void)mesh__condition_wait(&endpoints->ended, &endpoints->mutex, MESH_NO_DEADLINE);
    }
    endpoints->ends = true;
    pthread_cond_signal(&endpoints->stirred);
    pthread_mutex_unlock(&endpoints->mutex);
    mesh__wire->queue_shutdown(endpoints->queue);
    pthread_join(endpoints->thread, NULL);
    mesh__wire->queue_free(endpoints->queue);
    mesh__ejection_free(endpoints->ejection);
    pthread_cond_destroy(&endpoints->ended);
    pthread_cond_destroy(&endpoints->stirred);
    pthread_mutex_destroy(&endpoints->mutex);
    free(endpoints->authority);
    free(endpoints->name);
    free(endpoints);
}

/* ---- for people ----------------------------------------------------------------------------- */

static const char *state_name(const struct endpoint *endpoint)
{
    static const char *const names[] = {[WIRE_IDLE] = "idle",
                                        [WIRE_CONNECTING] = "connecting",
                                        [WIRE_READY] = "ready",
                                        [WIRE_FAILING] = "failing",
                                        [WIRE_CLOSED] = "closed"};

    return names[endpoint->state];
}

void mesh__endpoints_json(struct mesh__endpoints *endpoints, struct mesh__text *text)
{
    mesh__text_adds(text, "[");
    pthread_mutex_lock(&endpoints->mutex);
    for (size_t i = 0; i < endpoints->n; i++) {
        struct endpoint *endpoint = of(endpoints->members[i]);

        mesh__text_printf(
            text, "%s{\"address\":\"%s\",\"state\":\"%s\",\"ejected\":%s,\"inFlight\":%lld}",
            i > 0 ? "," : "", endpoint->address, state_name(endpoint),
            atomic_load(&endpoint->choice.ejection.ejected) ? "true" : "false",
            (long long)atomic_load(&endpoint->choice.in_flight));
    }
    pthread_mutex_unlock(&endpoints->mutex);
    mesh__text_adds(text, "]");
}
