/* SPDX-License-Identifier: Apache-2.0 */
/* Reservations, events and changes of an article at the same time. */
#include "product_test.h"

#include <pthread.h>
#include <time.h>

struct race {
    const char *order_id;
    const char *code;
    int head_start_us; /* of the reservation */
    enum mesh_status status;
};

static void give_head_start(int us)
{
    if (us > 0) {
        nanosleep(&(struct timespec){.tv_nsec = us * 1000L}, NULL);
    }
}

static void reserve_or_reject(void *arg, int i)
{
    struct race *race = arg;

    if (i == 0) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

        race->status = reserve(ctx, race->order_id, race->code, 1);
    } else {
        give_head_start(race->head_start_us);
        reject(race->order_id);
    }
}

TEST(a_rejection_beside_the_reservation_leaves_the_stock_whole)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    int n_refused = 0;

    given_product(ctx, "8005", 5);
    for (int round = 0; round < 200; round++) {
        struct race race = {
            .order_id = mesh_new_id(ctx), .code = "8005", .head_start_us = round % 2 * round};

        fixture_parallel(2, reserve_or_reject, &race);
        CHECK(race.status == MESH_OK || race.status == MESH_FAILED_PRECONDITION);
        n_refused += race.status != MESH_OK;
        CHECK_INT(state_of(race.order_id), RESERVATION_RELEASED);
        CHECK_INT(stock_of("8005"), 5);
    }
    print_message("%d of 200 were rejected first\n", n_refused);
}

static void reject_or_cancel(void *arg, int i)
{
    if (i == 0) {
        reject(arg);
    } else {
        cancel_delivery(arg);
    }
}

static void *end_twice_thread(void *order_id)
{
    fixture_parallel(2, reject_or_cancel, order_id);
    return NULL;
}

TEST(two_events_that_end_an_order_at_the_same_time_give_its_stock_back_once)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    cleanup_tx struct mesh_tx *stranger = NULL;
    char order_id[MESH_UUID_SIZE];
    pthread_t thread;

    mesh_uuid_v7(order_id);
    given_product(ctx, "8008", 5);
    CHECK_INT(reserve(ctx, order_id, "8008", 2), MESH_OK);
    stranger = hold_article(ctx, "8008");
    CHECK_INT(pthread_create(&thread, NULL, end_twice_thread, order_id), 0);
    await_locks(2); /* both know the order to hold stock */
    CHECK_INT(mesh_tx_commit(ctx, &stranger), MESH_OK);
    pthread_join(thread, NULL);
    CHECK_INT(stock_of("8008"), 5);
}

struct dear_try {
    enum mesh_status status;
    char reason[32];
};

/* For two pieces at 50000. */
static void *reserve_at_the_old_price(void *arg)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__ReserveStockRequest *request = reservation_of(ctx, mesh_new_id(ctx), "8009", 2);
    Product__ReserveStockResponse response = PRODUCT__RESERVE_STOCK_RESPONSE__INIT;
    struct dear_try *dear = arg;

    request->_expected_total_krw_case =
        PRODUCT__RESERVE_STOCK_REQUEST___EXPECTED_TOTAL_KRW_EXPECTED_TOTAL_KRW;
    request->expected_total_krw = 100000;
    dear->status = rpc_reserve_stock(ctx, &service, request, &response);
    strncpy(dear->reason, mesh_ctx_error_reason(ctx), sizeof(dear->reason) - 1);
    return NULL;
}

TEST(nobody_pays_a_price_that_changed_while_the_stock_was_taken)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    cleanup_tx struct mesh_tx *tx = NULL;
    static const struct mesh_sql raise_price = {
        "raise_price",
        "update products set unit_price_krw = 60000 where code = '8009' returning 1"};
    struct dear_try dear = {.status = MESH_OK};
    struct mesh_rows *rows;
    pthread_t thread;

    given_product(ctx, "8009", 5);
    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &raise_price, MESH_NO_ARGS, &rows), MESH_OK);
    CHECK_INT(pthread_create(&thread, NULL, reserve_at_the_old_price, &dear), 0);
    fixture_await_lock(NULL);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    pthread_join(thread, NULL);
    CHECK_INT(dear.status, MESH_FAILED_PRECONDITION);
    CHECK_TEXT(dear.reason, "TOTAL_MISMATCH");
    CHECK_INT(stock_of("8009"), 5);
}

TEST_MAIN(setup, teardown)
