/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/limit.h"

#include "core/condition.h"

#include <stdatomic.h>
#include <stddef.h>

#define WORKERS_LEFT 4

/* A thread that waits for a place; lives on its stack. */
struct waiter {
    struct waiter *next;
    struct mesh__limit *limit;
    pthread_cond_t wake_up;
    bool taken; /* somebody has taken the place for it */
};

/* Of all limits: who waits is few, and not in a hurry. */
static pthread_mutex_t waiting_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct waiter *first_waiting;

static bool take_here(struct mesh__limit *limit)
{
    int64_t max = atomic_load(&limit->max);
    int64_t used = atomic_load(&limit->used);

    do {
        if (max > 0 && used >= max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&limit->used, &used, used + 1));
    return true;
}

/* *ret_full is the limit that has no place. */
static bool take(struct mesh__limit *limit, const struct mesh__limit **ret_full)
{
    for (struct mesh__limit *at = limit; at != NULL; at = at->above) {
        if (!take_here(at)) {
            for (struct mesh__limit *taken = limit; taken != at; taken = taken->above) {
                atomic_fetch_sub(&taken->used, 1);
            }
            *ret_full = at;
            return false;
        }
    }
    return true;
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* With the mutex held. */
static void join(struct waiter *waiter)
{
    struct waiter **end = &first_waiting;

    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = waiter;
    for (struct mesh__limit *at = waiter->limit; at != NULL; at = at->above) {
        atomic_fetch_add(&at->n_waiting, 1);
    }
}

/* With the mutex held. */
static void leave(struct waiter *waiter)
{
    struct waiter **link = &first_waiting;

    while (*link != waiter) {
        link = &(*link)->next;
    }
    *link = waiter->next;
    for (struct mesh__limit *at = waiter->limit; at != NULL; at = at->above) {
        atomic_fetch_sub(&at->n_waiting, 1);
    }
}

/* Places go to those who wait, as far as there are any for them. */
static void hand_on(void)
{
    const struct mesh__limit *full;
    struct waiter *next;

    (void)pthread_mutex_lock(&waiting_mutex);
    for (struct waiter *waiter = first_waiting; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (take(waiter->limit, &full)) {
            leave(waiter);
            waiter->taken = true;
            (void)pthread_cond_signal(&waiter->wake_up);
        }
    }
    (void)pthread_mutex_unlock(&waiting_mutex);
}

bool mesh__limit_take(struct mesh__limit *limit)
{
    const struct mesh__limit *full;

    if (take(limit, &full)) {
        return true;
    }
    if (full != limit && atomic_load(&limit->n_waiting) > 0) {
        hand_on(); /* what was held here for a moment might have been somebody's place */
    }
    return false;
}

/*
 * No place is lost between the two: who waits is counted before it looks once more, and who gives
 * one back does so before it looks whether somebody waits.
 */
bool mesh__limit_wait(struct mesh__limit *limit, int64_t until_ns)
{
    struct waiter waiter = {.limit = limit};
    const struct mesh__limit *full;
    bool in_time = true;

    mesh__condition_init(&waiter.wake_up);
    (void)pthread_mutex_lock(&waiting_mutex);
    join(&waiter);
    waiter.taken = take(limit, &full);
    if (waiter.taken) {
        leave(&waiter);
    }
    while (!waiter.taken && in_time) {
        in_time = mesh__condition_wait(&waiter.wake_up, &waiting_mutex, until_ns);
    }
    if (!waiter.taken) {
        leave(&waiter);
        waiter.taken = take(limit, &full);
    }
    (void)pthread_mutex_unlock(&waiting_mutex);
    (void)pthread_cond_destroy(&waiter.wake_up);
    return waiter.taken;
}

void mesh__limit_give(struct mesh__limit *limit)
{
    bool waited_for = false;

    for (; limit != NULL; limit = limit->above) {
        atomic_fetch_sub(&limit->used, 1);
        waited_for = waited_for || atomic_load(&limit->n_waiting) > 0;
    }
    if (waited_for) {
        hand_on();
    }
}

/* ---- of the workers ------------------------------------------------------------------------- */

int64_t mesh__worker_limit(int64_t n_workers)
{
    return n_workers > 2 ? n_workers / 2 : 1;
}

int64_t mesh__worker_limit_of_all(int64_t n_workers)
{
    return n_workers > WORKERS_LEFT ? n_workers - WORKERS_LEFT : 1;
}
