/* SPDX-License-Identifier: Apache-2.0 */
/* Unary calls: a bounded queue and the threads that take from it. */
#include "core/clock.h"
#include "core/condition.h"
#include "core/fatal.h"
#include "mesh/metrics.h"
#include "rpc/server_impl.h"

#include <stdlib.h>

struct worker {
    struct workers *workers;
    pthread_t thread;
    pthread_cond_t wake_up; /* woken, or stop is set */
    bool started;           /* its thread is there or is being made */
    bool woken;
    struct worker *next_idle;
};

/*
 * A wake-up costs more than a short handler. So at most one worker is on its way at a time: it
 * wakes the next one if it finds more than it takes, and who is busy often takes all before it is
 * there. The last to become idle is woken first: its stack and arena are still warm. Threads are
 * made when none is idle, so that a service with little to do has few.
 */
struct workers {
    struct mesh_server *server;
    pthread_mutex_t mutex;
    struct server_call *first;
    struct server_call **end;
    int n_waiting;
    size_t n_bytes; /* of the requests that wait */
    bool stop;
    bool waking;         /* somebody was woken and is not there yet */
    struct worker *idle; /* those without a thread at its end, in order */
    struct worker *threads;
    struct mesh_gauge *depth;
};

/* With the mutex held. */
static void push_idle(struct worker *worker)
{
    worker->next_idle = worker->workers->idle;
    worker->workers->idle = worker;
}

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
    for (int i = server->options.workers - 1; i >= 0; i--) {
        workers->threads[i].workers = workers;
        mesh__condition_init(&workers->threads[i].wake_up);
        push_idle(&workers->threads[i]);
    }
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

/* With the mutex held. Who is to be woken without it, or NULL; *ret_new: it has no thread yet. */
static struct worker *next_to_wake(struct workers *workers, bool *ret_new)
{
    struct worker *worker = workers->idle;

    if (workers->first == NULL || workers->waking || workers->stop || worker == NULL) {
        return NULL;
    }
    workers->idle = worker->next_idle;
    workers->waking = true;
    *ret_new = !worker->started;
    worker->started = true;
    worker->woken = true;
    return worker;
}

/* The system has no thread: those that are there do it, even if they have become idle meanwhile. */
static void give_up(struct worker *worker)
{
    struct workers *workers = worker->workers;
    struct worker **place = &workers->idle;
    struct worker *next = NULL;
    bool new;

    mesh_counter_add(mesh_counter("mesh_server_threads_refused_total",
                                  "Workers' threads that the system did not give.", NULL),
                     1);
    (void)pthread_mutex_lock(&workers->mutex);
    worker->started = false;
    worker->woken = false;
    workers->waking = false;
    if (*place != NULL && (*place)->started) {
        next = next_to_wake(workers, &new);
    }
    while (*place != NULL && (*place)->started) {
        place = &(*place)->next_idle;
    }
    worker->next_idle = *place;
    *place = worker;
    (void)pthread_mutex_unlock(&workers->mutex);
    if (next != NULL) {
        (void)pthread_cond_signal(&next->wake_up);
    }
}

static void *work(void *arg);

/* Without the mutex: who wakes up needs it at once. */
static void wake(struct worker *worker, bool new)
{
    if (worker == NULL) {
        return;
    }
    if (!new) {
        (void)pthread_cond_signal(&worker->wake_up);
    } else if (!mesh__server_thread(&worker->thread, "mesh-worker", work, worker)) {
        give_up(worker);
    }
}

bool mesh__workers_add(struct workers *workers, struct server_call *call)
{
    struct worker *next = NULL;
    bool added = false, new = false;

    call->waiting_bytes = mesh__wire->call_message_size(call->wire);
    call->waiting_ns = mesh__now_ns();
    (void)pthread_mutex_lock(&workers->mutex);
    if (!is_full(workers, call->waiting_bytes)) {
        call->next = NULL;
        *workers->end = call;
        workers->end = &call->next;
        workers->n_waiting++;
        workers->n_bytes += call->waiting_bytes;
        added = true;
        mesh_gauge_add(workers->depth, 1);
        next = next_to_wake(workers, &new);
    }
    (void)pthread_mutex_unlock(&workers->mutex);
    wake(next, new);
    return added;
}

/* With the mutex held: who was woken is there. */
static void arrive(struct worker *worker)
{
    if (worker->woken) {
        worker->woken = false;
        worker->workers->waking = false;
    }
}

/* With the mutex held: until there is something to do. */
static void idle(struct worker *worker)
{
    struct workers *workers = worker->workers;

    push_idle(worker);
    while (!worker->woken && !workers->stop) {
        (void)mesh__condition_wait(&worker->wake_up, &workers->mutex, MESH_NO_DEADLINE);
    }
    arrive(worker);
}

/* NULL when there is nothing left and no more will come. */
static struct server_call *take(struct worker *worker)
{
    struct workers *workers = worker->workers;
    struct worker *next;
    struct server_call *call;
    bool new = false;

    (void)pthread_mutex_lock(&workers->mutex);
    arrive(worker); /* a thread begins as one that was woken */
    while (workers->first == NULL && !workers->stop) {
        idle(worker);
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
    next = next_to_wake(workers, &new);
    (void)pthread_mutex_unlock(&workers->mutex);
    wake(next, new);
    if (call != NULL) {
        mesh_gauge_add(workers->depth, -1);
    }
    return call;
}

/* A wait that says nothing of how much there is to do. */
#define SHORT_WAIT_NS (10 * MESH_NS_PER_MS)

/* More than half of the time has passed that it had when its request was complete. */
static bool has_waited(const struct server_call *call, int64_t now_ns)
{
    int64_t waited_ns = now_ns - call->waiting_ns;

    return waited_ns > SHORT_WAIT_NS && waited_ns > call->deadline_ns - now_ns;
}

/*
 * Work is not begun if nobody waits for the answer any more, or will by then: more calls that come
 * than can be done would all be begun just before their ends, and none answered in time.
 */
static bool drop(struct server_call *call, struct mesh_ctx *ctx)
{
    int64_t now_ns = mesh__now_ns();

    if (now_ns >= call->deadline_ns) {
        mesh__call_refuse(call, ctx, MESH_DEADLINE_EXCEEDED, "expired",
                          "the deadline passed before the call's turn came");
    } else if (atomic_load_explicit(&call->cancelled, memory_order_acquire)) {
        mesh__call_refuse(call, ctx, MESH_CANCELLED, "cancelled",
                          "the client went away before the call's turn came");
    } else if (has_waited(call, now_ns)) {
        mesh__call_refuse(call, ctx, MESH_RESOURCE_EXHAUSTED, "waited",
                          "the server has too much to do: half of the time passed before the "
                          "call's turn came");
    } else {
        return false;
    }
    mesh__call_unref(call);
    return true;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    const struct mesh_server_options *options = &worker->workers->server->options;
    struct mesh_ctx *ctx = mesh__ctx_new(options->service, options->arena_bytes, MESH_NO_DEADLINE);
    struct server_call *call;

    while ((call = take(worker)) != NULL) {
        if (!drop(call, ctx)) {
            mesh__call_run(call, ctx);
        }
    }
    mesh__ctx_free(ctx);
    return NULL;
}

/* One thread is enough to go on with if there will be no more. */
void mesh__workers_start(struct workers *workers)
{
    struct worker *first = workers->idle;

    workers->idle = first->next_idle;
    first->started = true;
    if (!mesh__server_thread(&first->thread, "mesh-worker", work, first)) {
        mesh__fatal("no thread can be made for a worker");
    }
}

void mesh__workers_free(struct workers *workers)
{
    int n;

    if (workers == NULL) {
        return;
    }
    n = workers->server->options.workers;
    (void)pthread_mutex_lock(&workers->mutex);
    workers->stop = true;
    for (int i = 0; i < n; i++) {
        (void)pthread_cond_signal(&workers->threads[i].wake_up);
    }
    (void)pthread_mutex_unlock(&workers->mutex);
    for (int i = 0; i < n; i++) { /* a thread that is only being made is so by one before it */
        if (workers->threads[i].started) {
            (void)pthread_join(workers->threads[i].thread, NULL);
        }
    }
    for (int i = 0; i < n; i++) {
        (void)pthread_cond_destroy(&workers->threads[i].wake_up);
    }
    (void)pthread_mutex_destroy(&workers->mutex);
    free(workers->threads);
    free(workers);
}
