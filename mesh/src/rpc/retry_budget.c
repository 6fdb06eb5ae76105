/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/retry_budget.h"

#include "core/clock.h"
#include "core/fatal.h"
#include "rpc/recent.h"

#include <pthread.h>
#include <stdlib.h>

#define WINDOW_NS (MESH__RETRY_WINDOW_S * MESH_NS_PER_S)

enum kind { CALLS, RETRIES };

struct mesh__retry_budget {
    pthread_mutex_t lock; /* of all that follows */
    struct mesh__retry_budget_settings settings;
    int64_t calls;
    int64_t retries;
    struct mesh__recent recent;
};

struct mesh__retry_budget *
mesh__retry_budget_new(const struct mesh__retry_budget_settings *settings)
{
    struct mesh__retry_budget *budget = mesh__calloc(1, sizeof(*budget));

    (void)pthread_mutex_init(&budget->lock, NULL);
    budget->settings = *settings;
    return budget;
}

void mesh__retry_budget_free(struct mesh__retry_budget *budget)
{
    if (budget != NULL) {
        (void)pthread_mutex_destroy(&budget->lock);
        free(budget);
    }
}

void mesh__retry_budget_set(struct mesh__retry_budget *budget,
                            const struct mesh__retry_budget_settings *settings)
{
    (void)pthread_mutex_lock(&budget->lock);
    budget->settings = *settings;
    (void)pthread_mutex_unlock(&budget->lock);
}

void mesh__retry_budget_begin(struct mesh__retry_budget *budget)
{
    int64_t now_ns = mesh__now_ns();

    (void)pthread_mutex_lock(&budget->lock);
    budget->calls++;
    mesh__recent_move(&budget->recent, now_ns, WINDOW_NS);
    mesh__recent_add(&budget->recent, CALLS);
    (void)pthread_mutex_unlock(&budget->lock);
}

void mesh__retry_budget_end(struct mesh__retry_budget *budget)
{
    (void)pthread_mutex_lock(&budget->lock);
    budget->calls--;
    (void)pthread_mutex_unlock(&budget->lock);
}

static bool too_many(const struct mesh__retry_budget *budget)
{
    int64_t part = budget->calls * budget->settings.percent / 100;
    int64_t least = budget->settings.min_concurrency;

    return budget->retries >= (part > least ? part : least);
}

/* Counted so that the bound holds whatever ten seconds one looks at. */
static bool too_often(const struct mesh__retry_budget *budget, int64_t now_ns)
{
    int64_t calls = mesh__recent_within(&budget->recent, now_ns, WINDOW_NS, CALLS);
    int64_t retries = mesh__recent_reaching(&budget->recent, now_ns, WINDOW_NS, RETRIES);

    return retries >=
           calls * MESH__RETRY_RATE_PERCENT / 100 + MESH__RETRY_RATE_PER_S * MESH__RETRY_WINDOW_S;
}

enum mesh__retry_grant mesh__retry_budget_take(struct mesh__retry_budget *budget)
{
    int64_t now_ns = mesh__now_ns();
    enum mesh__retry_grant grant = MESH__RETRY_GRANTED;

    (void)pthread_mutex_lock(&budget->lock);
    if (too_many(budget)) {
        grant = MESH__RETRY_TOO_MANY;
    } else if (too_often(budget, now_ns)) {
        grant = MESH__RETRY_TOO_OFTEN;
    } else {
        budget->retries++;
        mesh__recent_move(&budget->recent, now_ns, WINDOW_NS);
        mesh__recent_add(&budget->recent, RETRIES);
    }
    (void)pthread_mutex_unlock(&budget->lock);
    return grant;
}

void mesh__retry_budget_give(struct mesh__retry_budget *budget)
{
    (void)pthread_mutex_lock(&budget->lock);
    budget->retries--;
    (void)pthread_mutex_unlock(&budget->lock);
}

struct mesh__retry_budget_view mesh__retry_budget_look(struct mesh__retry_budget *budget)
{
    int64_t now_ns = mesh__now_ns();
    struct mesh__retry_budget_view view;

    (void)pthread_mutex_lock(&budget->lock);
    view = (struct mesh__retry_budget_view){
        .calls = budget->calls,
        .retries = budget->retries,
        .recent_calls = mesh__recent_within(&budget->recent, now_ns, WINDOW_NS, CALLS),
        .recent_retries = mesh__recent_reaching(&budget->recent, now_ns, WINDOW_NS, RETRIES),
    };
    (void)pthread_mutex_unlock(&budget->lock);
    return view;
}
