/* SPDX-License-Identifier: Apache-2.0 */
/* Unary calls: a bounded queue and the threads that take from it. */
#include "core/clock.h"
#include "core/condition.h"
#include "core/fatal.h"
#include "mesh/metrics.h"
#include "rpc/server_impl.h"

#include <stdlib.h>

struct workers {
    struct mesh_server *server;
    pthread_mutex_t mutex;
    pthread_cond_t waiting; /* a call waits, or stop is set */
    struct server_call *first;
    struct server_call **end;
    int n_waiting;
    size_t n_bytes; /* of the requests that wait */
    bool stop;
    int n_threads;
    pthread_t *threads;
    struct mesh_gauge *depth;
};

struct workers *mesh__workers_new(struct mesh_server *server)
{
    struct workers *workers = mesh__calloc(1, sizeof(*workers));

    workers->server = server;
    workers->end = &workers->first;
    workers->threads = mesh__calloc((size_t)server->options.workers, sizeof(*workers->threads));
    workers->depth =
        mesh_gauge("mesh_server_queue_depth", "Unary calls that wait for a worker.", NULL);
    if (pthread_mutex_init(&workers->mutex, NULL) != 0) {
        mesh__fatal("no memory for a mutex");
    }
    mesh__condition_init(&workers->waiting);
    return workers;
}

/* With the mutex held. Few large requests are as much as many small ones. */
static bool is_full(const struct workers *workers, size_t more_bytes)
{
    const struct mesh_server_options *options = &workers->server->options;

    return workers->n_waiting >= options->queue_size ||
           (options->queue_bytes > 0 && workers->n_waiting > 0 &&
            workers->n_bytes + more_bytes > options->queue_bytes);
}

bool mesh__workers_add(struct workers *workers, struct server_call *call)
{
    bool added = false;

    call->waiting_bytes = mesh__wire->call_message_size(call->wire);
    (void)pthread_mutex_lock(&workers->mutex);
    if (!is_full(workers, call->waiting_bytes)) {
        call->next = NULL;
        *workers->end = call;
        workers->end = &call->next;
        workers->n_waiting++;
        workers->n_bytes += call->waiting_bytes;
        added = true;
        mesh_gauge_add(workers->depth, 1);
        (void)pthread_cond_signal(&workers->waiting);
    }
    (void)pthread_mutex_unlock(&workers->mutex);
    return added;
}

/* NULL when there is nothing left and no more will come. */
static struct server_call *take(struct workers *workers)
{
    struct server_call *call;

    (void)pthread_mutex_lock(&workers->mutex);
    while (workers->first == NULL && !workers->stop) {
        (void)mesh__condition_wait(&workers->waiting, &workers->mutex, MESH_NO_DEADLINE);
    }
    call = workers->first;
    if (call != NULL) {
        workers->first = call->next;
        if (workers->first == NULL) {
            workers->end = &workers->first;
        }
        workers->n_waiting--;
        workers->n_bytes -= call->waiting_bytes;
    }
    (void)pthread_mutex_unlock(&workers->mutex);
    if (call != NULL) {
        mesh_gauge_add(workers->depth, -1);
    }
    return call;
}

/* Nobody waits for the answer any more: the work is not begun. */
static bool drop(struct server_call *call, struct mesh_ctx *ctx)
{
    if (mesh__now_ns() >= call->deadline_ns) {
        mesh__call_refuse(call, ctx, MESH_DEADLINE_EXCEEDED, "expired",
                          "the deadline passed before the call's turn came");
    } else if (atomic_load_explicit(&call->cancelled, memory_order_acquire)) {
        mesh__call_refuse(call, ctx, MESH_CANCELLED, "cancelled",
                          "the client went away before the call's turn came");
    } else {
        return false;
    }
    mesh__call_unref(call);
    return true;
}

static void *work(void *arg)
{
    struct workers *workers = arg;
    const struct mesh_server_options *options = &workers->server->options;
    struct mesh_ctx *ctx = mesh__ctx_new(options->service, options->arena_bytes, MESH_NO_DEADLINE);
    struct server_call *call;

    while ((call = take(workers)) != NULL) {
        if (!drop(call, ctx)) {
            mesh__call_run(call, ctx);
        }
    }
    mesh__ctx_free(ctx);
    return NULL;
}

void mesh__workers_start(struct workers *workers)
{
    for (int i = 0; i < workers->server->options.workers; i++) {
        if (!mesh__server_thread(&workers->threads[i], "mesh-worker", work, workers)) {
            mesh__fatal("no thread can be made for worker %d", i + 1);
        }
        workers->n_threads++;
    }
}

void mesh__workers_free(struct workers *workers)
{
    if (workers == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&workers->mutex);
    workers->stop = true;
    (void)pthread_cond_broadcast(&workers->waiting);
    (void)pthread_mutex_unlock(&workers->mutex);
    for (int i = 0; i < workers->n_threads; i++) {
        (void)pthread_join(workers->threads[i], NULL);
    }
    (void)pthread_cond_destroy(&workers->waiting);
    (void)pthread_mutex_destroy(&workers->mutex);
    free(workers->threads);
    free(workers);
}
