/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/batcher.h"

#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "mesh/metrics.h"

#include <stdlib.h>
#include <string.h>

enum state { WAITS, RUNS, DONE };

/* A call; on the stack of its thread, which does not return before it is DONE. */
struct waiter {
    struct mesh_batch_member member;
    const char *key;
    enum state state;
    pthread_cond_t woken;
    struct waiter *next; /* of those that wait, in the order they came */
};

/* On the stack of the thread that leads it. */
struct batch {
    const char *key;
    struct waiter *waiters[MESH_BATCH_MAX];
    size_t n;
    struct batch *next; /* of those that run */
};

struct mesh_batcher {
    enum mesh_status (*run)(struct mesh_ctx *ctx, void *arg, struct mesh_batch_member *members,
                            size_t n);
    void *arg;
    struct mesh_histogram *sizes;
    struct mesh_gauge *n_waiting;
    pthread_mutex_t lock; /* of all that follows, and of every waiter's state */
    struct waiter *first; /* no longer than there are threads that call: looked through as it is */
    struct batch *running;
};

struct mesh_batcher *mesh_batcher_new(const char *name,
                                      enum mesh_status (*run)(struct mesh_ctx *ctx, void *arg,
                                                              struct mesh_batch_member *members,
                                                              size_t n),
                                      void *arg)
{
    const char *labels[] = {"batcher", name, NULL};
    struct mesh_batcher *batcher = mesh__calloc(1, sizeof(*batcher));

    batcher->run = run;
    batcher->arg = arg;
    batcher->sizes = mesh_histogram("mesh_batch_size", "Calls that were done together.", labels);
    batcher->n_waiting =
        mesh_gauge("mesh_batch_waiting", "Calls whose batch has not begun.", labels);
    (void)pthread_mutex_init(&batcher->lock, NULL);
    return batcher;
}

void mesh_batcher_free(struct mesh_batcher *batcher)
{
    if (batcher != NULL) {
        (void)pthread_mutex_destroy(&batcher->lock);
        free(batcher);
    }
}

/* ---- who waits; under the lock ---- */

static void append(struct mesh_batcher *batcher, struct waiter *waiter)
{
    struct waiter **at = &batcher->first;

    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = waiter;
    mesh_gauge_add(batcher->n_waiting, 1);
}

/* Takes the waiter at this place out. */
static struct waiter *take_out(struct mesh_batcher *batcher, struct waiter **at)
{
    struct waiter *waiter = *at;

    *at = waiter->next;
    mesh_gauge_add(batcher->n_waiting, -1);
    return waiter;
}

/* The place of the first who waits for the key; NULL is there if nobody does. */
static struct waiter **find(struct waiter **at, const char *key)
{
    while (*at != NULL && strcmp((*at)->key, key) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static bool is_running(const struct mesh_batcher *batcher, const char *key)
{
    const struct batch *batch = batcher->running;

    while (batch != NULL && strcmp(batch->key, key) != 0) {
        batch = batch->next;
    }
    return batch != NULL;
}

static void end(struct waiter *waiter, enum mesh_status status)
{
    waiter->member.status = status;
    waiter->state = DONE;
    (void)pthread_cond_signal(&waiter->woken);
}

static void wake_next(struct mesh_batcher *batcher, const char *key)
{
    struct waiter *next = *find(&batcher->first, key);

    if (next != NULL && !is_running(batcher, key)) {
        (void)pthread_cond_signal(&next->woken);
    }
}

/* ---- a batch ---- */

/* Those whose time is over are left out. */
static void gather(struct mesh_batcher *batcher, struct batch *batch)
{
    struct waiter **at = &batcher->first;

    while (batch->n < MESH_BATCH_MAX && *(at = find(at, batch->key)) != NULL) {
        struct waiter *waiter = take_out(batcher, at);
        enum mesh_status status = mesh__ctx_in_time(waiter->member.ctx);

        if (status != MESH_OK) {
            end(waiter, status);
        } else {
            waiter->state = RUNS;
            batch->waiters[batch->n++] = waiter;
        }
    }
    batch->next = batcher->running;
    batcher->running = batch;
}

static struct mesh_ctx *context_of(const struct batch *batch, struct mesh_ctx *leader)
{
    struct mesh_ctx *ctx = mesh_ctx_fork(leader);
    int64_t latest_ns = 0;

    for (size_t i = 0; i < batch->n; i++) {
        int64_t deadline_ns = batch->waiters[i]->member.ctx->deadline_ns;

        latest_ns = deadline_ns > latest_ns ? deadline_ns : latest_ns;
    }
    ctx->deadline_ns = mesh__in_ms(MESH_BATCH_TIMEOUT_MS);
    ctx->deadline_ns = latest_ns < ctx->deadline_ns ? latest_ns : ctx->deadline_ns;
    ctx->cancelled = NULL;
    ctx->stopping = NULL;
    ctx->inbound = NULL;
    return ctx;
}

/* Not under the lock: all that it touches is the waiters' who wait for it. */
static void run(const struct mesh_batcher *batcher, const struct batch *batch,
                struct mesh_ctx *leader)
{
    cleanup_ctx struct mesh_ctx *ctx = context_of(batch, leader);
    struct mesh_batch_member members[MESH_BATCH_MAX];
    enum mesh_status status;

    for (size_t i = 0; i < batch->n; i++) {
        members[i] = batch->waiters[i]->member;
    }
    mesh_histogram_observe(batcher->sizes, (double)batch->n);
    status = batcher->run(ctx, batcher->arg, members, batch->n);
    for (size_t i = 0; i < batch->n; i++) {
        batch->waiters[i]->member.status = status != MESH_OK ? status : members[i].status;
        if (status != MESH_OK) {
            mesh__error_copy(members[i].ctx, ctx);
        }
    }
}

static void forget(struct mesh_batcher *batcher, const struct batch *batch)
{
    struct batch **at = &batcher->running;

    while (*at != batch) {
        at = &(*at)->next;
    }
    *at = batch->next;
}

/* The first member is the one whose thread this is. The lock is given up in between. */
static void lead(struct mesh_batcher *batcher, struct waiter *leader)
{
    struct batch batch = {.key = leader->key};

    gather(batcher, &batch);
    if (batch.n > 0) {
        (void)pthread_mutex_unlock(&batcher->lock);
        run(batcher, &batch, leader->member.ctx);
        (void)pthread_mutex_lock(&batcher->lock);
    }
    forget(batcher, &batch);
    for (size_t i = 0; i < batch.n; i++) {
        end(batch.waiters[i], batch.waiters[i]->member.status);
    }
    wake_next(batcher, batch.key);
}

/* ---- a call ---- */

static bool may_lead(struct mesh_batcher *batcher, const struct waiter *waiter)
{
    return *find(&batcher->first, waiter->key) == waiter && !is_running(batcher, waiter->key);
}

static void leave(struct mesh_batcher *batcher, struct waiter *waiter, enum mesh_status status)
{
    struct waiter **at = &batcher->first;

    while (*at != waiter) {
        at = &(*at)->next;
    }
    end(take_out(batcher, at), status);
    wake_next(batcher, waiter->key); /* it may have been this one that was woken to lead */
}

/* Until when to sleep: a waiter's batch ends by itself, a cancellation has to be looked for. */
static int64_t patience(const struct waiter *waiter)
{
    const struct mesh_ctx *ctx = waiter->member.ctx;
    int64_t look_ns;

    if (waiter->state == RUNS) {
        return MESH_NO_DEADLINE;
    }
    look_ns = ctx->cancelled != NULL ? mesh__in_ms(MESH_LOOK_EVERY_MS) : MESH_NO_DEADLINE;
    return look_ns < ctx->deadline_ns ? look_ns : ctx->deadline_ns;
}

static void wait_or_lead(struct mesh_batcher *batcher, struct waiter *waiter)
{
    while (waiter->state != DONE) {
        enum mesh_status status = MESH_OK;

        if (waiter->state == WAITS) {
            status = mesh__ctx_in_time(waiter->member.ctx);
        }
        if (status != MESH_OK) {
            leave(batcher, waiter, status);
        } else if (waiter->state == WAITS && may_lead(batcher, waiter)) {
            lead(batcher, waiter);
        } else {
            (void)mesh__condition_wait(&waiter->woken, &batcher->lock, patience(waiter));
        }
    }
}

MESH_STATUS mesh_batcher_call(struct mesh_ctx *ctx, struct mesh_batcher *batcher, const char *key,
                              const void *request, void *response)
{
    struct waiter waiter = {.member = {.ctx = ctx, .request = request, .response = response},
                            .key = key};

    mesh__condition_init(&waiter.woken);
    (void)pthread_mutex_lock(&batcher->lock);
    append(batcher, &waiter);
    wait_or_lead(batcher, &waiter);
    (void)pthread_mutex_unlock(&batcher->lock);
    (void)pthread_cond_destroy(&waiter.woken);
    return waiter.member.status;
}
