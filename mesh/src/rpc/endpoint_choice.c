/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/endpoint_choice.h"

#include "core/clock.h"

#include <assert.h>
#include <stdatomic.h>

#define BURDEN_MS 5000 /* since the last one, until all are forgotten */

/* As they were at one moment: others may change them while one chooses. */
struct candidates {
    struct mesh__endpoint *endpoints[MESH__ENDPOINTS_MAX];
    size_t n;
};

static void add(struct candidates *candidates, struct mesh__endpoint *endpoint)
{
    candidates->endpoints[candidates->n++] = endpoint;
}

static bool was_tried(const struct mesh__endpoint_choice *choice,
                      const struct mesh__endpoint *endpoint)
{
    for (size_t i = 0; i < choice->n_tried; i++) {
        if (choice->tried[i] == endpoint) {
            return true;
        }
    }
    return false;
}

/* Those that are ready: not ejected, or all of them in a panic. */
static bool find_healthy(const struct mesh__endpoint_choice *choice, struct candidates *ret_healthy)
{
    struct candidates ready;

    ready.n = 0;
    ret_healthy->n = 0;
    for (size_t i = 0; i < choice->n; i++) {
        struct mesh__endpoint *endpoint = choice->endpoints[i];

        if (!atomic_load(&endpoint->ready)) {
            continue;
        }
        add(&ready, endpoint);
        if (!atomic_load(&endpoint->ejection.ejected)) {
            add(ret_healthy, endpoint);
        }
    }
    if (ready.n == ret_healthy->n ||
        !mesh__ejection_panics(choice->ejection, choice->n, ret_healthy->n)) {
        return false;
    }
    *ret_healthy = ready;
    return true;
}

/* Keeps those that were not tried, if there are any. */
static void prefer_untried(const struct mesh__endpoint_choice *choice,
                           struct candidates *candidates)
{
    size_t n = 0;

    if (choice->n_tried == 0) {
        return;
    }
    for (size_t i = 0; i < candidates->n; i++) {
        struct mesh__endpoint *endpoint = candidates->endpoints[i];

        if (!was_tried(choice, endpoint)) { /* goes to the front, and what was there to its place */
            candidates->endpoints[i] = candidates->endpoints[n];
            candidates->endpoints[n++] = endpoint;
        }
    }
    candidates->n = n > 0 ? n : candidates->n;
}

static bool has_burdens(const struct mesh__endpoint *endpoint)
{
    return atomic_load(&endpoint->n_burdens) > 0 &&
           mesh__now_ns() < mesh__after_ms(atomic_load(&endpoint->burden_ns), BURDEN_MS);
}

static int64_t load_of(const struct mesh__endpoint *endpoint)
{
    return atomic_load(&endpoint->in_flight) +
           (has_burdens(endpoint) ? atomic_load(&endpoint->n_burdens) : 0);
}

/*
 * The one with the fewest attempts in flight, of two different ones at random
 * (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing",
 * 2001). Where there are three, all are compared, in any order: two of them
 * would be the two good ones in only a third of the picks when one is slow.
 */
static struct mesh__endpoint *least_loaded(const struct candidates *candidates)
{
    size_t n = candidates->n;
    size_t n_compared = n <= 3 ? n : 2;
    size_t first = (size_t)mesh__random_between(0, (int64_t)n - 1);
    size_t ahead = n > 1 ? (size_t)mesh__random_between(1, (int64_t)n - 1) : 0;
    struct mesh__endpoint *least = candidates->endpoints[first];

    for (size_t i = 1; i < n_compared; i++) { /* no step of 3 is met twice: it is a prime */
        struct mesh__endpoint *other = candidates->endpoints[(first + i * ahead) % n];

        least = load_of(other) < load_of(least) ? other : least;
    }
    return least;
}

struct mesh__endpoint *mesh__endpoint_choose(const struct mesh__endpoint_choice *choice,
                                             bool *ret_panic)
{
    struct mesh__endpoint *chosen;
    struct candidates candidates;

    assert(choice->n <= MESH__ENDPOINTS_MAX);
    mesh__ejection_sweep(choice->ejection);
    *ret_panic = find_healthy(choice, &candidates);
    if (candidates.n == 0) {
        return NULL;
    }
    prefer_untried(choice, &candidates);
    chosen = choice->balancer == MESH__ROUND_ROBIN
                 ? candidates.endpoints[atomic_fetch_add(choice->turn, 1) % candidates.n]
                 : least_loaded(&candidates);
    atomic_fetch_add(&chosen->in_flight, 1);
    return chosen;
}

void mesh__endpoint_leave(struct mesh__endpoint *endpoint)
{
    atomic_fetch_sub(&endpoint->in_flight, 1);
}

void mesh__endpoint_burden(struct mesh__endpoint *endpoint)
{
    if (!has_burdens(endpoint)) { /* if two threads see it at once, one may be lost */
        atomic_store(&endpoint->n_burdens, 0);
    }
    atomic_store(&endpoint->burden_ns, mesh__now_ns());
    atomic_fetch_add(&endpoint->n_burdens, 1);
}
