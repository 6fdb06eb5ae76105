/* SPDX-License-Identifier: Apache-2.0 */
/* While a stranger holds an article, the orders that want it form a line. */
#include "mesh/metrics.h"
#include "product_test.h"

#include <pthread.h>
#include <sched.h>

struct order {
    pthread_t thread;
    const char *order_id;
    const char *code;
    int64_t quantity;
    int64_t expected_total_krw; /* 0: any */
    enum mesh_status status;
    int64_t total_krw;
    char reason[32];
    char correlation_id[40];
};

static void *reserve_thread(void *arg)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct order *order = arg;
    Product__ReserveStockRequest *request =
        reservation_of(ctx, order->order_id, order->code, order->quantity);
    Product__ReserveStockResponse response = PRODUCT__RESERVE_STOCK_RESPONSE__INIT;

    if (order->expected_total_krw != 0) {
        request->_expected_total_krw_case =
            PRODUCT__RESERVE_STOCK_REQUEST___EXPECTED_TOTAL_KRW_EXPECTED_TOTAL_KRW;
        request->expected_total_krw = order->expected_total_krw;
    }
    order->status = rpc_reserve_stock(ctx, &service, request, &response);
    order->total_krw = response.total_krw;
    strncpy(order->reason, mesh_ctx_error_reason(ctx), sizeof(order->reason) - 1);
    strncpy(order->correlation_id, mesh_ctx_correlation_id(ctx), sizeof(order->correlation_id) - 1);
    return NULL;
}

static int64_t n_waiting(void)
{
    return (int64_t)mesh_gauge_value(
        mesh_gauge("mesh_batch_waiting", "Calls whose batch has not begun.",
                   (const char *[]){"batcher", "reserve_stock", NULL}));
}

static void join(struct order *orders, int n)
{
    for (int i = 0; i < n; i++) {
        CHECK_INT(pthread_join(orders[i].thread, NULL), 0);
    }
}

/* The first order waits for the article, the others for the first, in this order. */
static void form_line(struct order *orders, int n, const char *code)
{
    for (int i = 0; i < n; i++) {
        orders[i].code = code;
        CHECK_INT(pthread_create(&orders[i].thread, NULL, reserve_thread, &orders[i]), 0);
        if (i == 0) {
            await_locks(1);
        }
        while (n_waiting() != i) {
            (void)sched_yield();
        }
    }
}

/* orders[0] alone, and then all others at once. */
static void reserve_in_line(struct mesh_ctx *ctx, struct order *orders, int n, const char *code)
{
    cleanup_tx struct mesh_tx *stranger = hold_article(ctx, code);

    form_line(orders, n, code);
    CHECK_INT(mesh_tx_commit(ctx, &stranger), MESH_OK);
    join(orders, n);
}

TEST(orders_that_wait_for_an_article_take_it_together)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct order orders[21] = {0};

    given_product(ctx, "9000", 100);
    for (int i = 0; i < 21; i++) {
        orders[i].order_id = mesh_new_id(ctx);
        orders[i].quantity = 1 + i % 3;
    }
    reserve_in_line(ctx, orders, 21, "9000");
    for (int i = 0; i < 21; i++) {
        CHECK_INT(orders[i].status, MESH_OK);
        CHECK_INT(orders[i].total_krw, 50000 * orders[i].quantity);
        CHECK_TEXT(orders[i].correlation_id, orders[i].order_id);
        CHECK_INT(FIXTURE_INT64("select quantity from reservations where order_id = $1",
                                MESH_ARGS(mesh_uuid(orders[i].order_id))),
                  orders[i].quantity);
    }
    CHECK_INT(stock_of("9000"), 100 - 42);
    CHECK_INT(version_of("9000"), 3); /* one change for the first, one for all others */
}

TEST(in_a_batch_each_order_gets_what_those_before_it_left)
{
    static const int64_t quantities[] = {1, 3, 9, 2, 1, 3};
    static const bool fits[] = {true, true, false, true, true, false};
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct order orders[6] = {0};

    given_product(ctx, "9001", 7);
    for (int i = 0; i < 6; i++) {
        orders[i].order_id = mesh_new_id(ctx);
        orders[i].quantity = quantities[i];
    }
    reserve_in_line(ctx, orders, 6, "9001");
    for (int i = 0; i < 6; i++) {
        CHECK_INT(orders[i].status, fits[i] ? MESH_OK : MESH_FAILED_PRECONDITION);
        CHECK_TEXT(orders[i].reason, fits[i] ? "" : "INSUFFICIENT_STOCK");
        CHECK_INT(state_of(orders[i].order_id),
                  fits[i] ? RESERVATION_RESERVED : RESERVATION_REFUSED);
    }
    CHECK_INT(stock_of("9001"), 0);
}

TEST(a_batch_that_takes_nothing_leaves_the_article_as_it_is)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct order orders[3] = {{.order_id = mesh_new_id(ctx), .quantity = 1},
                              {.order_id = mesh_new_id(ctx), .quantity = 2},
                              {.order_id = mesh_new_id(ctx), .quantity = 2}};

    given_product(ctx, "9002", 1);
    reserve_in_line(ctx, orders, 3, "9002");
    CHECK_INT(orders[2].status, MESH_FAILED_PRECONDITION);
    CHECK_INT(version_of("9002"), 2);
}

TEST(a_repeat_in_the_batch_of_its_original_takes_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    struct order orders[5] = {{.order_id = mesh_new_id(ctx), .quantity = 1},
                              {.order_id = order_id, .quantity = 2},
                              {.order_id = order_id, .quantity = 2},
                              {.order_id = order_id, .quantity = 3},
                              {.order_id = mesh_new_id(ctx), .quantity = 1}};

    given_product(ctx, "9003", 100);
    reserve_in_line(ctx, orders, 5, "9003");
    CHECK_INT(orders[1].status, MESH_OK);
    CHECK_INT(orders[2].total_krw, 100000);
    CHECK_INT(orders[3].status, MESH_ALREADY_EXISTS);
    CHECK_TEXT(orders[3].reason, "RESERVATION_DIFFERS");
    CHECK_INT(orders[4].status, MESH_OK);
    CHECK_INT(stock_of("9003"), 96);
}

TEST(a_repeat_of_what_was_decided_before_spoils_no_batch)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct order orders[4] = {{.order_id = mesh_new_id(ctx), .quantity = 1},
                              {.order_id = mesh_new_id(ctx), .quantity = 5},
                              {.order_id = mesh_new_id(ctx), .quantity = 1},
                              {.order_id = mesh_new_id(ctx), .quantity = 1}};

    given_product(ctx, "9004", 100);
    CHECK_INT(reserve(ctx, orders[1].order_id, "9004", 5), MESH_OK);
    CHECK_INT(reject_together(&orders[2].order_id, 1), MESH_OK);
    reserve_in_line(ctx, orders, 4, "9004");
    CHECK_INT(orders[1].status, MESH_OK);
    CHECK_INT(orders[2].status, MESH_FAILED_PRECONDITION);
    CHECK_TEXT(orders[2].reason, "RESERVATION_RELEASED");
    CHECK_INT(orders[3].status, MESH_OK);
    CHECK_INT(stock_of("9004"), 93);
}

TEST(a_batch_sells_at_the_price_that_the_article_has_when_it_is_taken)
{
    static const struct mesh_sql raise = {
        "raise", "update products set unit_price_krw = 60000 where code = '9005'"};
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct order orders[4] = {
        {.order_id = mesh_new_id(ctx), .quantity = 1},
        {.order_id = mesh_new_id(ctx), .quantity = 2},
        {.order_id = mesh_new_id(ctx), .quantity = 2, .expected_total_krw = 100000},
        {.order_id = mesh_new_id(ctx), .quantity = 2, .expected_total_krw = 120000}};
    cleanup_tx struct mesh_tx *stranger = NULL;

    given_product(ctx, "9005", 100);
    stranger = hold_article(ctx, "9005");
    form_line(orders, 4, "9005");
    CHECK_INT(mesh_tx_exec(ctx, stranger, &raise, MESH_NO_ARGS), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &stranger), MESH_OK);
    join(orders, 4);
    CHECK_INT(orders[1].total_krw, 120000);
    CHECK_INT(orders[2].status, MESH_FAILED_PRECONDITION);
    CHECK_TEXT(orders[2].reason, "TOTAL_MISMATCH");
    CHECK_INT(orders[3].status, MESH_OK);
    CHECK_INT(stock_of("9005"), 95);
}

TEST(a_batch_whose_connection_is_lost_took_nothing_and_may_be_repeated)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct order orders[4] = {0};
    cleanup_tx struct mesh_tx *stranger = NULL;

    given_product(ctx, "9006", 100);
    stranger = hold_article(ctx, "9006");
    for (int i = 0; i < 4; i++) {
        orders[i].order_id = mesh_new_id(ctx);
        orders[i].quantity = 1;
    }
    form_line(orders, 4, "9006");
    for (int lost = 0; lost < 2; lost++) { /* the first order's, then that of all others */
        await_locks(1);
        CHECK_INT(FIXTURE_INT64("select count(pg_terminate_backend(pid)) from pg_locks "
                                "where not granted",
                                MESH_NO_ARGS),
                  1);
        CHECK_INT(pthread_join(orders[lost].thread, NULL), 0);
    }
    join(orders + 2, 2);
    CHECK_INT(mesh_tx_commit(ctx, &stranger), MESH_OK);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(orders[i].status, MESH_UNAVAILABLE);
        CHECK_INT(reserve(ctx, orders[i].order_id, "9006", 1), MESH_OK);
    }
    CHECK_INT(stock_of("9006"), 96);
}

TEST(in_a_batch_each_order_tells_its_own_stock_event)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct order orders[4] = {0};

    given_product(ctx, "9007", 4);
    for (int i = 0; i < 4; i++) {
        orders[i].order_id = mesh_new_id(ctx);
        orders[i].quantity = i == 2 ? 9 : 1;
    }
    service.stock_events = true;
    reserve_in_line(ctx, orders, 4, "9007");
    service.stock_events = false;
    for (int i = 0; i < 4; i++) {
        CHECK_INT(fixture_events("StockReserved", orders[i].order_id), i == 2 ? 0 : 1);
    }
}

TEST_MAIN(setup, teardown)
