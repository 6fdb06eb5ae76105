/* SPDX-License-Identifier: Apache-2.0 */
/* Places that are taken and given back. */
#include "rpc/limit.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

static int take_all(struct mesh__limit *limit, int most)
{
    int n = 0;

    while (n < most && mesh__limit_take(limit)) {
        n++;
    }
    return n;
}

TEST(no_more_are_taken_than_there_are)
{
    struct mesh__limit limit = {.max = 3};

    CHECK_INT(take_all(&limit, 10), 3);
    mesh__limit_give(&limit);
    CHECK_INT(take_all(&limit, 10), 1);
}

TEST(without_a_limit_there_is_always_a_place)
{
    struct mesh__limit limit = {0};

    CHECK_INT(take_all(&limit, 1000), 1000);
    CHECK_INT(limit.used, 1000);
}

TEST(a_place_is_taken_above_too)
{
    struct mesh__limit all = {.max = 5};
    struct mesh__limit payment = {.above = &all, .max = 3};
    struct mesh__limit product = {.above = &all, .max = 3};

    CHECK_INT(take_all(&payment, 10), 3);
    CHECK_INT(take_all(&product, 10), 2);
    CHECK(payment.used == 3 && product.used == 2 && all.used == 5);
    mesh__limit_give(&payment);
    CHECK_INT(all.used, 4);
    CHECK_INT(take_all(&product, 10), 1);
    CHECK_INT(take_all(&payment, 10), 0); /* it has a place of its own, but none above */
    CHECK_INT(payment.used, 2);
}

TEST(a_lower_limit_waits_until_enough_have_left)
{
    struct mesh__limit limit = {.max = 4};

    CHECK_INT(take_all(&limit, 10), 4);
    atomic_store(&limit.max, 2);
    mesh__limit_give(&limit);
    mesh__limit_give(&limit);
    CHECK(!mesh__limit_take(&limit));
    mesh__limit_give(&limit);
    CHECK(mesh__limit_take(&limit));
}

TEST(a_hanging_peer_leaves_workers)
{
    static const struct {
        int64_t workers, one, all;
    } rows[] = {{1, 1, 1}, {2, 1, 1}, {3, 1, 1}, {4, 2, 1}, {5, 2, 1}, {8, 4, 4}, {64, 32, 60}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_INT(mesh__worker_limit(rows[i].workers), rows[i].one);
        CHECK_INT(mesh__worker_limit_of_all(rows[i].workers), rows[i].all);
    }
}

/* ---- threads ------------------------------------------------------------------------------ */

#define N_THREADS 8

static struct mesh__limit top = {.max = 3};
static struct mesh__limit below[2] = {{.above = &top, .max = 2}, {.above = &top, .max = 2}};
static _Atomic int n_inside, n_too_many;

static void *take_often(void *arg)
{
    struct mesh__limit *limit = arg;

    for (int i = 0; i < 5000; i++) {
        if (mesh__limit_take(limit)) {
            atomic_fetch_add(&n_too_many, atomic_fetch_add(&n_inside, 1) < 3 ? 0 : 1);
            atomic_fetch_sub(&n_inside, 1);
            mesh__limit_give(limit);
        }
    }
    return NULL;
}

TEST(many_threads_take_no_more_than_there_are)
{
    pthread_t threads[N_THREADS];

    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, take_often, &below[i % 2]), 0);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK_INT(n_too_many, 0);
    CHECK(top.used == 0 && below[0].used == 0 && below[1].used == 0);
}

TEST_MAIN(NULL, NULL)
