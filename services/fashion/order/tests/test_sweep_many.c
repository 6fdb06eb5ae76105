/* SPDX-License-Identifier: Apache-2.0 */
/* The sweep when much is due. */
#include "order_test.h"

/* n pending orders that are due, the first one longest; their ids end in their numbers. */
static void given_due(int64_t n)
{
    CHECK_INT(
        FIXTURE_INT64(
            "with made as (insert into orders (order_id, request_id, digest, customer_id, "
            "product_code, size, quantity, status, total_krw, payment_asked, pay_before, "
            "next_try_at) select ('00000000-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid, "
            "gen_random_uuid(), '', 'c1', '4000', 'S', 1, 2, 50000, true, now() + '10 minutes', "
            "now() - '1 hour'::interval + i * interval '1 second' "
            "from generate_series(1, $1) i order by random() returning 1) "
            "select count(*) from made",
            MESH_ARGS(mesh_int64(n))),
        n);
}

static int64_t n_with(Order__OrderStatus status)
{
    return FIXTURE_INT64("select count(*) from orders where status = $1",
                         MESH_ARGS(mesh_int64(status)));
}

static void check_paid_longest_due_first(void)
{
    CHECK_INT(fake_asked(FAKE_PAY).n, 64);
    for (int i = 0; i < 64; i++) {
        CHECK_INT(strtol(fake_paid_order(i) + 24, NULL, 10), i + 1);
    }
}

/* An index or a nested loop would bring them in this order without being asked to. */
TEST(the_order_of_a_sweep_does_not_hang_on_the_plan)
{
    static const char *const settings[] = {"enable_indexscan", "enable_bitmapscan",
                                           "enable_nestloop"};

    begin(); /* one thread: so far there is one connection */
    given_due(100);
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(FIXTURE_INT64("select length(set_config($1, 'off', false))::bigint",
                                MESH_ARGS(mesh_text(settings[i]))),
                  3);
    }
    sweep();
    check_paid_longest_due_first();
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(FIXTURE_INT64("select length(set_config($1, 'on', false))::bigint",
                                MESH_ARGS(mesh_text(settings[i]))),
                  2);
    }
}

TEST(one_sweep_takes_64_orders_longest_due_first_pays_16_at_once_and_goes_on_if_there_are_more)
{
    begin();
    service.pay_retry_ms = 60000;
    given_due(100);
    CHECK(sweep());
    CHECK_INT(fake_most_at_once(), 16);
    check_paid_longest_due_first();
    CHECK_INT(n_with(STATUS(PLACED)), 64);
    CHECK(!sweep());
    CHECK_INT(fake_asked(FAKE_PAY).n, 100);
    CHECK_INT(n_with(STATUS(PLACED)), 100);
    CHECK(!sweep());
}

static void sweep_once(void *arg __attribute__((unused)), int i __attribute__((unused)))
{
    sweep();
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

TEST(sweeps_at_the_same_time_ask_for_every_order_once)
{
    const char *paid[200];

    for (int round = 0; round < 5; round++) {
        begin();
        service.pay_retry_ms = 60000;
        fake_answer(FAKE_PAY, round % 2 == 0 ? MESH_OK : MESH_UNAVAILABLE, NULL);
        given_due(200);
        fixture_parallel(4, sweep_once, NULL);
        sweep(); /* what the four did not reach: they may have met on the first rows */
        CHECK_INT(fake_asked(FAKE_PAY).n, 200);
        for (int i = 0; i < 200; i++) {
            paid[i] = fake_paid_order(i);
        }
        qsort(paid, 200, sizeof(paid[0]), by_text);
        for (int i = 1; i < 200; i++) {
            CHECK(strcmp(paid[i - 1], paid[i]) < 0);
        }
        CHECK_INT(n_with(round % 2 == 0 ? STATUS(PLACED) : STATUS(PAYMENT_PENDING)), 200);
    }
}

TEST_MAIN(setup, teardown)
