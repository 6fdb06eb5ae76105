/* SPDX-License-Identifier: Apache-2.0 */
/* Places that are taken and given back. */
#include "core/clock.h"
#include "rpc/limit.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
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

/* ---- waiting ------------------------------------------------------------------------------ */

TEST(who_waits_for_a_place_that_is_there_gets_it_at_once)
{
    struct mesh__limit limit = {.max = 1};

    CHECK(mesh__limit_wait(&limit, 0));
    CHECK(limit.used == 1 && limit.n_waiting == 0);
}

TEST(who_waits_in_vain_takes_nothing)
{
    struct mesh__limit all = {.max = 1};
    struct mesh__limit payment = {.above = &all, .max = 5};
    int64_t until_ns = mesh__in_ms(20);

    CHECK(mesh__limit_take(&payment));
    CHECK(!mesh__limit_wait(&payment, until_ns));
    CHECK(mesh__now_ns() >= until_ns);
    CHECK(payment.used == 1 && all.used == 1 && payment.n_waiting == 0 && all.n_waiting == 0);
    mesh__limit_give(&payment);
    CHECK(payment.used == 0 && all.used == 0);
}

static void *wait_long(void *arg)
{
    return mesh__limit_wait(arg, MESH_NO_DEADLINE) ? arg : NULL;
}

/* Starts a thread that waits for a place; returns when it does. */
static pthread_t begin_to_wait(struct mesh__limit *limit)
{
    int64_t before = limit->n_waiting;
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, wait_long, limit), 0);
    while (limit->n_waiting == before) {
        (void)sched_yield();
    }
    return thread;
}

static bool has_got(pthread_t thread)
{
    void *got = NULL;

    CHECK_INT(pthread_join(thread, &got), 0);
    return got != NULL;
}

TEST(a_place_that_is_given_back_goes_to_who_waits_for_it_wherever_it_was_missing)
{
    struct mesh__limit all = {.max = 2};
    struct mesh__limit payment = {.above = &all, .max = 1};
    struct mesh__limit product = {.above = &all};
    pthread_t for_payment, for_product;

    CHECK(mesh__limit_take(&payment) && mesh__limit_take(&product));
    for_payment = begin_to_wait(&payment); /* there is one neither here nor above */
    for_product = begin_to_wait(&product);
    mesh__limit_give(&product);
    CHECK(has_got(for_product));
    CHECK(payment.used == 1 && payment.n_waiting == 1 && all.used == 2 && all.n_waiting == 1);
    mesh__limit_give(&payment);
    CHECK(has_got(for_payment));
    CHECK(payment.used == 1 && product.used == 1 && all.used == 2 && all.n_waiting == 0);
}

TEST(who_came_first_is_served_first)
{
    struct mesh__limit limit = {.max = 1};
    pthread_t first, second;

    CHECK(mesh__limit_take(&limit));
    first = begin_to_wait(&limit);
    second = begin_to_wait(&limit);
    mesh__limit_give(&limit);
    CHECK(has_got(first));
    CHECK(limit.used == 1 && limit.n_waiting == 1);
    mesh__limit_give(&limit);
    CHECK(has_got(second));
}

#define LEVELS 100000 /* so that the moment is long enough to be met */

static struct mesh__limit levels[LEVELS]; /* each above the one before */

static atomic_bool passed;

static void *pass_by(void *arg)
{
    if (mesh__limit_take(arg)) {
        mesh__limit_give(arg);
    }
    passed = true;
    return arg;
}

/* The place is given back while it is held, on its way, by who gets none at the end. */
TEST(a_place_that_somebody_has_held_for_a_moment_goes_to_who_waits_for_it)
{
    static struct mesh__limit all = {.max = 1};
    static struct mesh__limit *const last = &levels[LEVELS - 1];
    struct mesh__limit other = {.above = &all};

    for (size_t i = 0; i < LEVELS; i++) {
        levels[i] = (struct mesh__limit){.above = i + 1 < LEVELS ? &levels[i + 1] : &all, .max = 1};
    }
    levels[0].n_waiting = 1; /* somebody whom this does not help */
    for (int i = 0; i < 20; i++) {
        pthread_t waits, passes;

        CHECK(mesh__limit_take(&other));
        waits = begin_to_wait(last);
        passed = false;
        CHECK_INT(pthread_create(&passes, NULL, pass_by, &levels[0]), 0);
        while (levels[0].used == 0 && !passed) {
        }
        while (levels[0].used > 0) { /* until it has met the full one and goes back */
        }
        mesh__limit_give(&other);
        CHECK(has_got(passes));
        CHECK_INT(all.used, 1);
        CHECK(has_got(waits));
        mesh__limit_give(last);
    }
}

static void *wait_often(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        if (!mesh__limit_take(arg) && !mesh__limit_wait(arg, MESH_NO_DEADLINE)) {
            return NULL;
        }
        atomic_fetch_add(&n_too_many, atomic_fetch_add(&n_inside, 1) < 3 ? 0 : 1);
        if (i % 16 == 0) {
            (void)sched_yield(); /* so that others find it taken */
        }
        atomic_fetch_sub(&n_inside, 1);
        mesh__limit_give(arg);
    }
    return arg;
}

/* A place that nobody was told of would leave this without an end. */
TEST(of_many_threads_that_wait_each_gets_its_place)
{
    pthread_t threads[N_THREADS];

    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, wait_often, &below[i % 2]), 0);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK(has_got(threads[i]));
    }
    CHECK_INT(n_too_many, 0);
    CHECK(top.used == 0 && below[0].used == 0 && below[1].used == 0 && top.n_waiting == 0);
}

TEST_MAIN(NULL, NULL)
