/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of streaming calls: made when needed, up to the limit, and ended when idle. */
#include "core/clock.h"
#include "core/condition.h"
#include "core/fatal.h"
#include "core/thread.h"
#include "mesh/metrics.h"
#include "rpc/server_impl.h"

#include <stdlib.h>

#define IDLE_MS 30000

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define STACK_BYTES ((size_t)8 << 20) /* instrumented frames are larger */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define STACK_BYTES ((size_t)8 << 20)
#endif
#endif
#ifndef STACK_BYTES
#define STACK_BYTES ((size_t)512 << 10)
#endif

/* ---- for all threads of the server -------------------------------------------------------- */

bool mesh__server_thread(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *arg)
{
    return mesh__thread_try(ret_thread, name, STACK_BYTES, run, arg);
}

/* ---- the pool ----------------------------------------------------------------------------- */

enum slot_state { SLOT_FREE, SLOT_RUNNING, SLOT_ENDED /* to be joined */ };

struct slot {
    struct stream_threads *threads;
    enum slot_state state;
    pthread_t thread;
};

struct stream_threads {
    struct mesh_server *server;
    pthread_mutex_t mutex;
    pthread_cond_t waiting; /* a call waits, or stop is set */
    struct server_call *first;
    struct server_call **end;
    int n_waiting; /* calls for a thread */
    int n_free;    /* threads that serve no call, from their start on */
    int n_streams; /* served or waiting */
    bool stop;
    int limit;
    struct slot *slots;
    struct mesh_gauge *streams;
};

struct stream_threads *mesh__stream_threads_new(struct mesh_server *server, int limit)
{
    struct stream_threads *threads = mesh__calloc(1, sizeof(*threads));

    threads->server = server;
    threads->end = &threads->first;
    threads->limit = limit;
    threads->slots = mesh__calloc((size_t)threads->limit, sizeof(*threads->slots));
    threads->streams =
        mesh_gauge("mesh_server_streams", "Streaming calls that are being served.", NULL);
    if (pthread_mutex_init(&threads->mutex, NULL) != 0) {
        mesh__fatal("no memory for a mutex");
    }
    mesh__condition_init(&threads->waiting);
    return threads;
}

/* The next call, with the mutex held; NULL ends the thread. */
static struct server_call *take(struct stream_threads *threads)
{
    int64_t until_ns = mesh__in_ms(IDLE_MS);
    bool in_time = true;
    struct server_call *call;

    while (threads->first == NULL && !threads->stop && in_time) {
        in_time = mesh__condition_wait(&threads->waiting, &threads->mutex, until_ns);
    }
    threads->n_free--;
    call = threads->first;
    if (call != NULL) {
        threads->first = call->next;
        if (threads->first == NULL) {
            threads->end = &threads->first;
        }
        threads->n_waiting--;
    }
    return call;
}

static void *run(void *arg)
{
    struct slot *slot = arg;
    struct stream_threads *threads = slot->threads;
    const struct mesh_server_options *options = &threads->server->options;
    struct mesh_ctx *ctx = mesh__ctx_new(options->service, options->arena_bytes, MESH_NO_DEADLINE);
    struct mesh_ctx *reader =
        mesh__ctx_new(options->service, options->arena_bytes, MESH_NO_DEADLINE);
    struct server_call *call;

    (void)pthread_mutex_lock(&threads->mutex);
    while ((call = take(threads)) != NULL) {
        (void)pthread_mutex_unlock(&threads->mutex);
        mesh__stream_run(call, ctx, reader);
        mesh_gauge_add(threads->streams, -1);
        (void)pthread_mutex_lock(&threads->mutex);
        threads->n_streams--;
        threads->n_free++;
    }
    slot->state = SLOT_ENDED;
    (void)pthread_mutex_unlock(&threads->mutex);
    mesh__ctx_free(reader);
    mesh__ctx_free(ctx);
    return NULL;
}

/* With the mutex held. A slot is there: free threads are fewer than calls that wait. */
static bool start_thread(struct stream_threads *threads)
{
    struct slot *slot = threads->slots;

    while (slot->state == SLOT_RUNNING) {
        slot++;
    }
    if (slot->state == SLOT_ENDED) {
        (void)pthread_join(slot->thread, NULL); /* it only frees its memory */
        slot->state = SLOT_FREE;
    }
    slot->threads = threads;
    if (!mesh__server_thread(&slot->thread, "mesh-stream", run, slot)) {
        return false;
    }
    slot->state = SLOT_RUNNING;
    threads->n_free++;
    return true;
}

bool mesh__stream_threads_add(struct stream_threads *threads, struct server_call *call)
{
    bool added = false;

    (void)pthread_mutex_lock(&threads->mutex);
    if (threads->n_streams < threads->limit &&
        (threads->n_waiting < threads->n_free || start_thread(threads))) {
        call->next = NULL;
        *threads->end = call;
        threads->end = &call->next;
        threads->n_waiting++;
        threads->n_streams++;
        mesh_gauge_add(threads->streams, 1);
        (void)pthread_cond_signal(&threads->waiting);
        added = true;
    }
    (void)pthread_mutex_unlock(&threads->mutex);
    return added;
}

void mesh__stream_threads_free(struct stream_threads *threads)
{
    if (threads == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&threads->mutex);
    threads->stop = true;
    (void)pthread_cond_broadcast(&threads->waiting);
    (void)pthread_mutex_unlock(&threads->mutex);
    for (int i = 0; i < threads->limit; i++) {
        bool used;

        (void)pthread_mutex_lock(&threads->mutex);
        used = threads->slots[i].state != SLOT_FREE;
        (void)pthread_mutex_unlock(&threads->mutex);
        if (used) {
            (void)pthread_join(threads->slots[i].thread, NULL);
        }
    }
    (void)pthread_cond_destroy(&threads->waiting);
    (void)pthread_mutex_destroy(&threads->mutex);
    free(threads->slots);
    free(threads);
}
