/* SPDX-License-Identifier: Apache-2.0 */
#include "../core/death.h"
#include "app/signals.h"
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

static struct mesh_ctx *ctx;
static struct mesh__signals *signals;

/* ---- a broker that only counts -------------------------------------------------------------- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int pings;
    int64_t at_ns[64];
    char name[32];
} broker = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void ping(void *arg, const char *name)
{
    CHECK_TEXT(arg, "broker");
    pthread_mutex_lock(&broker.mutex);
    if (broker.pings < 64) {
        broker.at_ns[broker.pings] = mesh__now_ns();
    }
    broker.pings++;
    strncpy(broker.name, name, sizeof(broker.name) - 1);
    pthread_cond_broadcast(&broker.changed);
    pthread_mutex_unlock(&broker.mutex);
}

static void wait_for_pings(int n)
{
    pthread_mutex_lock(&broker.mutex);
    while (broker.pings < n) {
        pthread_cond_wait(&broker.changed, &broker.mutex);
    }
    pthread_mutex_unlock(&broker.mutex);
}

static void connect_broker(void)
{
    static char arg[] = "broker";

    broker.pings = 0;
    mesh__signals_connect(signals, ping, arg);
}

/* ---- waiting -------------------------------------------------------------------------------- */

TEST(a_name_is_one_signal)
{
    CHECK(mesh__signals_get(signals, "a") == mesh__signals_get(signals, "a"));
    CHECK(mesh__signals_get(signals, "a") != mesh__signals_get(signals, "b"));
}

static void name_with_a_dot(void)
{
    mesh__signals_get(signals, "a.b");
}

static void no_name(void)
{
    mesh__signals_get(signals, "");
}

TEST(a_name_that_the_broker_could_not_carry_is_a_bug)
{
    CHECK(dies(name_with_a_dot));
    CHECK(dies(no_name));
}

TEST(a_raise_before_the_wait_is_seen_once)
{
    struct mesh_signal *signal = mesh__signals_get(signals, "before");
    uint64_t seen = 0;
    int64_t start_ns = mesh__now_ns();

    mesh_signal_raise(signal);
    mesh_signal_raise(signal);
    CHECK_INT(mesh_signal_wait(ctx, signal, &seen, 60000), MESH_OK);
    CHECK(mesh__now_ns() - start_ns < 5 * MESH_NS_PER_S);
    CHECK_INT(seen, 2);
    start_ns = mesh__now_ns();
    CHECK_INT(mesh_signal_wait(ctx, signal, &seen, 20), MESH_OK); /* nothing new: the time passes */
    CHECK(mesh__now_ns() - start_ns >= 20 * MESH_NS_PER_MS);
    CHECK_INT(seen, 2);
}

struct waiter {
    pthread_t thread;
    struct mesh_signal *signal;
    atomic_int rounds;
    enum mesh_status status;
};

static void *wait_in_thread(void *arg)
{
    struct waiter *waiter = arg;
    struct mesh_ctx *own = mesh__ctx_new("shop", 0, MESH_NO_DEADLINE);
    uint64_t seen = 0;

    waiter->status = mesh_signal_wait(own, waiter->signal, &seen, 60000);
    atomic_fetch_add(&waiter->rounds, 1);
    mesh__ctx_free(own);
    return NULL;
}

TEST(a_raise_wakes_all_waiters)
{
    struct waiter waiters[4];
    int64_t start_ns = mesh__now_ns();

    for (size_t i = 0; i < 4; i++) {
        waiters[i] = (struct waiter){.signal = mesh__signals_get(signals, "all")};
        pthread_create(&waiters[i].thread, NULL, wait_in_thread, &waiters[i]);
    }
    mesh_signal_raise(mesh__signals_get(signals, "all"));
    for (size_t i = 0; i < 4; i++) {
        pthread_join(waiters[i].thread, NULL);
        CHECK_INT(waiters[i].status, MESH_OK);
    }
    CHECK(mesh__now_ns() - start_ns < 30 * MESH_NS_PER_S);
}

TEST(a_signal_wakes_no_waiter_of_another)
{
    struct mesh_signal *mine = mesh__signals_get(signals, "mine");
    uint64_t seen = 0;

    mesh_signal_raise(mesh__signals_get(signals, "other"));
    CHECK_INT(mesh_signal_wait(ctx, mine, &seen, 10), MESH_OK);
    CHECK_INT(seen, 0);
}

TEST(the_deadline_of_the_call_ends_the_wait)
{
    struct mesh_signal *signal = mesh__signals_get(signals, "deadline");
    struct mesh_ctx *brief = mesh__ctx_new("shop", 0, mesh__in_ms(30));
    uint64_t seen = 0;

    CHECK_INT(mesh_signal_wait(brief, signal, &seen, 60000), MESH_DEADLINE_EXCEEDED);
    mesh_signal_raise(signal);
    CHECK_INT(mesh_signal_wait(brief, signal, &seen, 60000), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(seen, 0);
    mesh__ctx_free(brief);
}

static void *cancel_soon(void *arg)
{
    const struct timespec soon = {.tv_nsec = 20 * MESH_NS_PER_MS};

    nanosleep(&soon, NULL);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

TEST(a_cancelled_call_stops_waiting)
{
    struct mesh_ctx *own = mesh__ctx_new("shop", 0, MESH_NO_DEADLINE);
    atomic_bool cancelled = false;
    pthread_t thread;
    uint64_t seen = 0;
    int64_t start_ns = mesh__now_ns();

    own->cancelled = &cancelled;
    pthread_create(&thread, NULL, cancel_soon, &cancelled);
    CHECK_INT(mesh_signal_wait(own, mesh__signals_get(signals, "cancel"), &seen, 60000),
              MESH_CANCELLED);
    CHECK(mesh__now_ns() - start_ns < 10 * MESH_NS_PER_S);
    pthread_join(thread, NULL);
    mesh__ctx_free(own);
}

TEST(a_drain_stops_waiting)
{
    struct mesh_ctx *own = mesh__ctx_new("shop", 0, MESH_NO_DEADLINE);
    atomic_bool stopping = false;
    pthread_t thread;
    uint64_t seen = 0;

    own->stopping = &stopping;
    pthread_create(&thread, NULL, cancel_soon, &stopping);
    CHECK_INT(mesh_signal_wait(own, mesh__signals_get(signals, "drain"), &seen, INT64_C(100000)),
              MESH_UNAVAILABLE);
    pthread_join(thread, NULL);
    mesh__ctx_free(own);
}

/* ---- other replicas ------------------------------------------------------------------------- */

TEST(a_raise_reaches_the_other_replicas)
{
    connect_broker();
    mesh_signal_raise(mesh__signals_get(signals, "far"));
    wait_for_pings(1);
    mesh__signals_disconnect(signals);
    CHECK_INT(broker.pings, 1);
    CHECK_TEXT(broker.name, "far");
}

TEST(many_raises_are_few_pings_and_the_last_one_is_not_lost)
{
    struct mesh_signal *signal = mesh__signals_get(signals, "many");

    connect_broker();
    mesh_signal_raise(signal);
    wait_for_pings(1);
    for (int i = 0; i < 1000; i++) {
        mesh_signal_raise(signal);
    }
    wait_for_pings(2);
    mesh__signals_disconnect(signals);
    CHECK(broker.pings < 64);
    for (int i = 1; i < broker.pings - 1; i++) { /* the last one may have been flushed */
        CHECK(broker.at_ns[i] - broker.at_ns[i - 1] >= 5 * MESH_NS_PER_MS);
    }
}

TEST(what_is_due_is_sent_when_the_broker_is_disconnected)
{
    struct mesh_signal *signal = mesh__signals_get(signals, "flush");

    connect_broker();
    mesh_signal_raise(signal);
    mesh__signals_disconnect(signals);
    CHECK_INT(broker.pings, 1);
    mesh_signal_raise(signal); /* without a broker it only wakes this process */
    CHECK_INT(broker.pings, 1);
}

TEST(a_ping_of_another_replica_wakes_and_is_not_sent_on)
{
    struct mesh_signal *signal = mesh__signals_get(signals, "near");
    uint64_t seen = 0;

    connect_broker();
    mesh__signals_received(signals, "near");
    mesh__signals_received(signals, "of a newer version, unknown here");
    CHECK_INT(mesh_signal_wait(ctx, signal, &seen, 60000), MESH_OK);
    CHECK_INT(seen, 1);
    mesh__signals_disconnect(signals);
    CHECK_INT(broker.pings, 0);
}

static int set_up(void **state)
{
    (void)state;
    ctx = mesh__ctx_new("shop", 0, MESH_NO_DEADLINE);
    signals = mesh__signals_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__signals_free(signals);
    mesh__ctx_free(ctx);
    return 0;
}

TEST_MAIN(set_up, tear_down)
