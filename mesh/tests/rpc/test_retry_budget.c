/* SPDX-License-Identifier: Apache-2.0 */
/* Both bounds of the retry budget on a clock that stands. */
#include "../core/fake_clock.h"
#include "rpc/retry_budget.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

static struct mesh__retry_budget *budget;

static void new_budget(int64_t percent, int64_t min_concurrency)
{
    budget =
        mesh__retry_budget_new(&(struct mesh__retry_budget_settings){percent, min_concurrency});
}

static void begin(int n)
{
    for (int i = 0; i < n; i++) {
        mesh__retry_budget_begin(budget);
    }
}

static void end(int n)
{
    for (int i = 0; i < n; i++) {
        mesh__retry_budget_end(budget);
    }
}

/* How many are granted of more than there can be. */
static int take_all(enum mesh__retry_grant expected)
{
    int n = 0;
    enum mesh__retry_grant grant;

    while ((grant = mesh__retry_budget_take(budget)) == MESH__RETRY_GRANTED) {
        n++;
    }
    CHECK_INT(grant, expected);
    return n;
}

/* How many are granted if each ends at once. */
static int take_and_give_all(void)
{
    int n = 0;
    enum mesh__retry_grant grant;

    while ((grant = mesh__retry_budget_take(budget)) == MESH__RETRY_GRANTED) {
        mesh__retry_budget_give(budget);
        n++;
    }
    CHECK_INT(grant, MESH__RETRY_TOO_OFTEN);
    return n;
}

TEST(a_part_of_the_live_calls_and_never_less_than_some)
{
    static const struct {
        int64_t percent, min_concurrency;
        int live, granted;
    } rows[] = {
        {20, 3, 0, 3},  {20, 3, 1, 3},    {20, 3, 19, 3},   {20, 3, 20, 4},
        {20, 3, 24, 4}, {20, 3, 100, 20}, {20, 0, 4, 0},    {20, 0, 5, 1},
        {0, 0, 100, 0}, {0, 2, 100, 2},   {100, 0, 50, 50},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        new_budget(rows[i].percent, rows[i].min_concurrency);
        begin(rows[i].live);
        CHECK_INT(take_all(MESH__RETRY_TOO_MANY), rows[i].granted);
        mesh__retry_budget_free(budget);
    }
}

TEST(a_place_is_held_until_it_is_given_back)
{
    new_budget(20, 1);
    begin(10);
    CHECK_INT(take_all(MESH__RETRY_TOO_MANY), 2);
    mesh__retry_budget_give(budget);
    CHECK_INT(mesh__retry_budget_take(budget), MESH__RETRY_GRANTED);
    end(10); /* fewer are live than when they were granted */
    CHECK_INT(mesh__retry_budget_take(budget), MESH__RETRY_TOO_MANY);
    mesh__retry_budget_give(budget);
    CHECK_INT(mesh__retry_budget_take(budget), MESH__RETRY_TOO_MANY);
    mesh__retry_budget_give(budget);
    CHECK_INT(mesh__retry_budget_take(budget), MESH__RETRY_GRANTED);
    mesh__retry_budget_free(budget);
}

TEST(the_rate_is_a_part_of_the_calls_of_ten_seconds_and_ten_a_second)
{
    static const struct {
        int calls, granted;
    } rows[] = {{0, 100}, {1, 100}, {4, 100}, {5, 101}, {1000, 300}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        new_budget(100, 1000000);
        begin(rows[i].calls);
        end(rows[i].calls);
        CHECK_INT(take_and_give_all(), rows[i].granted);
        CHECK_INT(mesh__retry_budget_look(budget).recent_calls, rows[i].calls);
        CHECK_INT(mesh__retry_budget_look(budget).recent_retries, rows[i].granted);
        fake_ns += 11 * MESH_NS_PER_S; /* all forgotten */
        CHECK_INT(take_and_give_all(), 100);
        mesh__retry_budget_free(budget);
    }
}

/* Whatever the load does: with each retry that is granted, the rule holds for the time before. */
TEST(the_rate_holds_for_the_ten_seconds_before_every_retry)
{
    enum { TICKS = 4000, PER_WINDOW = 1000 }; /* of 10 ms */
    static int calls[TICKS], retries[TICKS];
    int n_calls = 0;
    int n_retries = 0;
    int most = 0;

    new_budget(100, 1000000);
    for (int i = 0; i < TICKS; i++) {
        calls[i] = i / 700 % 2 == 0 ? i % 3 : 0; /* comes and goes */
        begin(calls[i]);
        end(calls[i]);
        while (retries[i] < 5 && mesh__retry_budget_take(budget) == MESH__RETRY_GRANTED) {
            mesh__retry_budget_give(budget);
            retries[i]++;
        }
        n_calls += calls[i] - (i >= PER_WINDOW ? calls[i - PER_WINDOW] : 0);
        n_retries += retries[i] - (i >= PER_WINDOW ? retries[i - PER_WINDOW] : 0);
        CHECK(retries[i] == 0 || n_retries <= n_calls / 5 + 100);
        most = n_retries > most ? n_retries : most;
        fake_ns += 10 * MESH_NS_PER_MS;
    }
    CHECK(most > 200); /* and it does grant what there is: 20 % of some 700, and 100 */
    mesh__retry_budget_free(budget);
}

TEST(other_settings_keep_what_is_under_way)
{
    new_budget(100, 0);
    begin(10);
    CHECK_INT(take_all(MESH__RETRY_TOO_MANY), 10);
    mesh__retry_budget_set(budget, &(struct mesh__retry_budget_settings){50, 0});
    CHECK_INT(mesh__retry_budget_look(budget).retries, 10);
    CHECK_INT(mesh__retry_budget_look(budget).calls, 10);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(mesh__retry_budget_take(budget), MESH__RETRY_TOO_MANY);
        mesh__retry_budget_give(budget);
    }
    CHECK_INT(mesh__retry_budget_take(budget), MESH__RETRY_TOO_MANY);
    mesh__retry_budget_give(budget);
    CHECK_INT(mesh__retry_budget_take(budget), MESH__RETRY_GRANTED);
    mesh__retry_budget_free(budget);
}

/* ---- threads ------------------------------------------------------------------------------ */

#define N_THREADS 8

static _Atomic int n_at_once, n_most;

static void *call_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        mesh__retry_budget_begin(budget);
        if (mesh__retry_budget_take(budget) == MESH__RETRY_GRANTED) {
            int n = atomic_fetch_add(&n_at_once, 1) + 1;
            int most = atomic_load(&n_most);

            while (n > most && !atomic_compare_exchange_weak(&n_most, &most, n)) {
            }
            atomic_fetch_sub(&n_at_once, 1);
            mesh__retry_budget_give(budget);
        }
        mesh__retry_budget_end(budget);
    }
    return NULL;
}

TEST(many_threads_take_no_more_than_there_is)
{
    pthread_t threads[N_THREADS];

    new_budget(0, 2);
    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, call_often, NULL), 0);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK(n_most >= 1 && n_most <= 2);
    CHECK(mesh__retry_budget_look(budget).calls == 0 &&
          mesh__retry_budget_look(budget).retries == 0);
    mesh__retry_budget_free(budget);
}

static int set_up(void **state)
{
    (void)state;
    mesh__clock = &fake_clock;
    fake_ns = 1000 * MESH_NS_PER_S;
    return 0;
}

TEST_MAIN(set_up, NULL)
