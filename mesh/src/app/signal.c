/* SPDX-License-Identifier: Apache-2.0 */
#include "app/signals.h"
#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "core/thread.h"
#include "mesh/db.h"

#include <stdlib.h>
#include <string.h>

#define PING_EVERY_NS (5 * MESH_NS_PER_MS)

struct mesh_signal {
    struct mesh_signal *next;
    struct mesh__signals *all;
    char *name;
    pthread_mutex_t mutex;
    pthread_cond_t raised;
    uint64_t generation; /* how often it was raised */
    /* Guarded by all->mutex. */
    bool ping_wanted;
    int64_t ping_at_ns; /* not before */
};

struct mesh__signals {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct mesh_signal *first;
    void (*ping)(void *arg, const char *name);
    void *arg;
    bool connected;
    pthread_t pinger;
};

struct mesh__signals *mesh__signals_new(void)
{
    struct mesh__signals *signals = mesh__calloc(1, sizeof(*signals));

    pthread_mutex_init(&signals->mutex, NULL);
    mesh__condition_init(&signals->changed);
    return signals;
}

void mesh__signals_free(struct mesh__signals *signals)
{
    if (signals == NULL) {
        return;
    }
    mesh__signals_disconnect(signals);
    while (signals->first != NULL) {
        struct mesh_signal *signal = signals->first;

        signals->first = signal->next;
        pthread_cond_destroy(&signal->raised);
        pthread_mutex_destroy(&signal->mutex);
        free(signal->name);
        free(signal);
    }
    pthread_cond_destroy(&signals->changed);
    pthread_mutex_destroy(&signals->mutex);
    free(signals);
}

static struct mesh_signal *find(struct mesh__signals *signals, const char *name)
{
    for (struct mesh_signal *signal = signals->first; signal != NULL; signal = signal->next) {
        if (strcmp(signal->name, name) == 0) {
            return signal;
        }
    }
    return NULL;
}

/* The broker's subject ends with it. */
static bool is_name(const char *name)
{
    size_t size = strlen(name);

    return size > 0 && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789_-") == size;
}

struct mesh_signal *mesh__signals_get(struct mesh__signals *signals, const char *name)
{
    struct mesh_signal *signal;

    if (!is_name(name)) {
        mesh__fatal("\"%s\" cannot be the name of a signal", name);
    }
    pthread_mutex_lock(&signals->mutex);
    signal = find(signals, name);
    if (signal == NULL) {
        signal = mesh__calloc(1, sizeof(*signal));
        signal->all = signals;
        signal->name = mesh__strdup(name);
        pthread_mutex_init(&signal->mutex, NULL);
        mesh__condition_init(&signal->raised);
        signal->next = signals->first;
        signals->first = signal;
    }
    pthread_mutex_unlock(&signals->mutex);
    return signal;
}

/* ---- passing on to the other replicas ------------------------------------------------------- */

/* The signal to be passed on first. */
static struct mesh_signal *next_ping(struct mesh__signals *signals)
{
    struct mesh_signal *next = NULL;

    for (struct mesh_signal *signal = signals->first; signal != NULL; signal = signal->next) {
        if (signal->ping_wanted && (next == NULL || signal->ping_at_ns < next->ping_at_ns)) {
            next = signal;
        }
    }
    return next;
}

/* A raise within 5 ms of a ping is not lost: its own ping goes out when they have passed. */
static void *run_pinger(void *arg)
{
    struct mesh__signals *signals = arg;
    struct mesh_signal *signal;

    pthread_mutex_lock(&signals->mutex);
    while ((signal = next_ping(signals)) != NULL || signals->connected) {
        if (signal == NULL) {
            mesh__condition_wait(&signals->changed, &signals->mutex, MESH_NO_DEADLINE);
        } else if (signals->connected && signal->ping_at_ns > mesh__now_ns()) {
            mesh__condition_wait(&signals->changed, &signals->mutex, signal->ping_at_ns);
        } else {
            signal->ping_wanted = false;
            signal->ping_at_ns = mesh__now_ns() + PING_EVERY_NS;
            pthread_mutex_unlock(&signals->mutex);
            signals->ping(signals->arg, signal->name);
            pthread_mutex_lock(&signals->mutex);
        }
    }
    pthread_mutex_unlock(&signals->mutex);
    return NULL;
}

void mesh__signals_connect(struct mesh__signals *signals, void (*ping)(void *arg, const char *name),
                           void *arg)
{
    pthread_mutex_lock(&signals->mutex);
    signals->ping = ping;
    signals->arg = arg;
    signals->connected = true;
    pthread_mutex_unlock(&signals->mutex);
    mesh__thread_start(&signals->pinger, "mesh-signals", run_pinger, signals);
}

void mesh__signals_disconnect(struct mesh__signals *signals)
{
    bool connected;

    pthread_mutex_lock(&signals->mutex);
    connected = signals->connected;
    signals->connected = false;
    pthread_cond_signal(&signals->changed);
    pthread_mutex_unlock(&signals->mutex);
    if (connected) {
        pthread_join(signals->pinger, NULL);
    }
}

/* ---- raising and waiting -------------------------------------------------------------------- */

static void wake(struct mesh_signal *signal)
{
    pthread_mutex_lock(&signal->mutex);
    signal->generation++;
    pthread_cond_broadcast(&signal->raised);
    pthread_mutex_unlock(&signal->mutex);
}

void mesh_signal_raise(struct mesh_signal *signal)
{
    struct mesh__signals *signals = signal->all;

    wake(signal);
    pthread_mutex_lock(&signals->mutex);
    if (signals->connected && !signal->ping_wanted) {
        signal->ping_wanted = true;
        pthread_cond_signal(&signals->changed);
    }
    pthread_mutex_unlock(&signals->mutex);
}

static void raise_hook(void *signal)
{
    mesh_signal_raise(signal);
}

void mesh_signal_raise_after_commit(struct mesh_signal *signal, struct mesh_tx *tx)
{
    mesh_tx_after_commit(tx, raise_hook, signal);
}

void mesh__signals_received(struct mesh__signals *signals, const char *name)
{
    struct mesh_signal *signal;

    pthread_mutex_lock(&signals->mutex);
    signal = find(signals, name);
    pthread_mutex_unlock(&signals->mutex);
    if (signal != NULL) {
        wake(signal);
    }
}

MESH_STATUS mesh_signal_wait(struct mesh_ctx *ctx, struct mesh_signal *signal, uint64_t *seen,
                             int64_t max_wait_ms)
{
    int64_t end_ns = mesh__in_ms(max_wait_ms);
    enum mesh_status status;

    pthread_mutex_lock(&signal->mutex);
    while ((status = mesh__ctx_may_wait(ctx)) == MESH_OK && signal->generation == *seen &&
           mesh__now_ns() < end_ns) {
        int64_t slice_ms = mesh__least(mesh_ctx_remaining_ms(ctx), MESH_LOOK_EVERY_MS);

        mesh__condition_wait(&signal->raised, &signal->mutex,
                             mesh__least(end_ns, mesh__in_ms(slice_ms)));
    }
    if (status == MESH_OK) {
        *seen = signal->generation;
    }
    pthread_mutex_unlock(&signal->mutex);
    return status;
}
