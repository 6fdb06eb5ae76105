/* SPDX-License-Identifier: Apache-2.0 */
#include "product_test.h"

#include <stdatomic.h>

TEST(FS_F_3_stock_is_taken_and_the_price_is_fixed)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *product_id = given_product(ctx, "7000", 100);
    Product__ReserveStockRequest *request = reservation_of(ctx, mesh_new_id(ctx), "7000", 2);
    Product__ReserveStockResponse response = PRODUCT__RESERVE_STOCK_RESPONSE__INIT;

    CHECK_INT(rpc_reserve_stock(ctx, &service, request, &response), MESH_OK);
    CHECK_TEXT(response.product_id, product_id);
    CHECK_INT(response.unit_price_krw, 50000);
    CHECK_INT(response.total_krw, 100000);
    CHECK_INT(stock_of("7000"), 98);
    CHECK_TEXT(mesh_ctx_correlation_id(ctx), request->order_id);
    CHECK_INT(fixture_events("StockReserved", request->order_id), 0);
}

TEST(a_repeat_takes_nothing_and_gets_the_first_price)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *product_id = given_product(ctx, "7001", 100);
    Product__ReserveStockRequest *request = reservation_of(ctx, mesh_new_id(ctx), "7001", 2);
    Product__ReserveStockResponse response = PRODUCT__RESERVE_STOCK_RESPONSE__INIT;

    CHECK_INT(rpc_reserve_stock(ctx, &service, request, &response), MESH_OK);
    CHECK_INT(FIXTURE_INT64("update products set unit_price_krw = 1 where product_id = $1 "
                            "returning 0::bigint",
                            MESH_ARGS(mesh_uuid(product_id))),
              0);
    CHECK_INT(rpc_reserve_stock(ctx, &service, request, &response), MESH_OK);
    CHECK_INT(response.total_krw, 100000);
    CHECK_INT(stock_of("7001"), 98);
}

TEST(FS_D_1_too_little_stock_is_a_refusal_that_takes_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "7002", 100);
    CHECK_INT(reserve(ctx, order_id, "7002", 101), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "INSUFFICIENT_STOCK");
    CHECK_INT(stock_of("7002"), 100);
    CHECK_INT(version_of("7002"), 1);
}

TEST(a_refusal_stays_a_refusal)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "7003", 1);
    CHECK_INT(reserve(ctx, order_id, "7003", 2), MESH_FAILED_PRECONDITION);
    CHECK_INT(FIXTURE_INT64("update products set stock = 5 where code = '7003' returning 0::bigint",
                            MESH_NO_ARGS),
              0);
    CHECK_INT(reserve(ctx, order_id, "7003", 2), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "INSUFFICIENT_STOCK");
    CHECK_INT(stock_of("7003"), 5);
}

TEST(a_total_that_differs_is_refused_before_anything_is_taken)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__ReserveStockRequest *request = reservation_of(ctx, mesh_new_id(ctx), "7004", 2);
    Product__ReserveStockResponse response = PRODUCT__RESERVE_STOCK_RESPONSE__INIT;

    given_product(ctx, "7004", 100);
    request->_expected_total_krw_case =
        PRODUCT__RESERVE_STOCK_REQUEST___EXPECTED_TOTAL_KRW_EXPECTED_TOTAL_KRW;
    request->expected_total_krw = 99999;
    CHECK_INT(rpc_reserve_stock(ctx, &service, request, &response), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "TOTAL_MISMATCH");
    CHECK_INT(stock_of("7004"), 100);

    request->order_id = mesh_new_id(ctx);
    request->expected_total_krw = 100000;
    CHECK_INT(rpc_reserve_stock(ctx, &service, request, &response), MESH_OK);
    CHECK_INT(stock_of("7004"), 98);
}

TEST(something_else_for_the_same_order_is_refused)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "7005", 100);
    CHECK_INT(reserve(ctx, order_id, "7005", 2), MESH_OK);
    CHECK_INT(reserve(ctx, order_id, "7005", 3), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "RESERVATION_DIFFERS");
    CHECK_INT(reserve(ctx, order_id, "7000", 2), MESH_ALREADY_EXISTS);
    CHECK_INT(stock_of("7005"), 98);
}

TEST(FS_X_10_another_size_is_another_product)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__ReserveStockRequest *request = reservation_of(ctx, mesh_new_id(ctx), "7006", 1);
    Product__ReserveStockResponse response = PRODUCT__RESERVE_STOCK_RESPONSE__INIT;

    given_product(ctx, "7006", 100);
    request->sku->size = "M";
    CHECK_INT(rpc_reserve_stock(ctx, &service, request, &response), MESH_NOT_FOUND);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "PRODUCT_NOT_FOUND");
    CHECK_INT(stock_of("7006"), 100);
}

struct rush {
    const char *code;
    const char *order_id; /* NULL: an order each */
    int64_t quantity;
    atomic_int taken;
    atomic_int refused;
    atomic_int others;
};

static void take_one(void *arg, int i __attribute__((unused)))
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct rush *rush = arg;
    const char *order_id = rush->order_id == NULL ? mesh_new_id(ctx) : rush->order_id;
    enum mesh_status status = reserve(ctx, order_id, rush->code, rush->quantity);

    if (status == MESH_OK) {
        atomic_fetch_add(&rush->taken, 1);
    } else if (status == MESH_FAILED_PRECONDITION &&
               strcmp(mesh_ctx_error_reason(ctx), "INSUFFICIENT_STOCK") == 0) {
        atomic_fetch_add(&rush->refused, 1);
    } else {
        atomic_fetch_add(&rush->others, 1);
    }
}

TEST(FS_D_2_orders_at_the_same_time_never_oversell)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct rush rush = {.code = "7007", .quantity = 1};

    given_product(ctx, "7007", 100);
    fixture_parallel(200, take_one, &rush);
    CHECK_INT(rush.others, 0);
    CHECK_INT(rush.taken, 100);
    CHECK_INT(rush.refused, 100);
    CHECK_INT(stock_of("7007"), 0);
    CHECK_INT(FIXTURE_INT64("select sum(quantity)::bigint from reservations "
                            "where code = '7007' and state = 1",
                            MESH_NO_ARGS),
              100);
}

TEST(PX_10_repeats_at_the_same_time_take_stock_once)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    given_product(ctx, "7008", 1000);
    for (int64_t round = 1; round <= 20; round++) {
        struct rush rush = {.code = "7008", .order_id = mesh_new_id(ctx), .quantity = 3};

        fixture_parallel(16, take_one, &rush);
        CHECK_INT(rush.taken, 16);
        CHECK_INT(stock_of("7008"), 1000 - 3 * round);
    }
}

TEST(repeats_at_the_same_time_for_the_last_piece_all_get_it)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    for (int round = 0; round < 20; round++) {
        struct rush rush = {.order_id = mesh_new_id(ctx), .quantity = 1};

        rush.code = mesh_printf(ctx, "last%d", round);
        given_product(ctx, rush.code, 1);
        fixture_parallel(8, take_one, &rush);
        CHECK_INT(rush.taken, 8);
        CHECK_INT(stock_of(rush.code), 0);
    }
}

TEST(without_its_database_it_answers_try_again)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_hurried_ctx(1000);
    struct mesh_db *dead = fixture_dead_db();
    enum mesh_status status;

    service.db = dead;
    status = reserve(ctx, mesh_new_id(ctx), "7000", 1);
    service.db = fixture_db();
    mesh__db_free(dead);
    CHECK(status == MESH_UNAVAILABLE || status == MESH_DEADLINE_EXCEEDED);
}

/* While another transaction holds the article. */
static void reserve_in_a_hurry(struct mesh_ctx *ctx, const char *order_id)
{
    cleanup_ctx struct mesh_ctx *hurried = fixture_hurried_ctx(200);
    cleanup_tx struct mesh_tx *tx = NULL;
    static const struct mesh_sql hold = {
        "hold", "update products set name = name where code = '7010' returning product_id"};
    struct mesh_rows *rows;

    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &hold, MESH_NO_ARGS, &rows), MESH_OK);
    CHECK_INT(reserve(hurried, order_id, "7010", 2), MESH_DEADLINE_EXCEEDED);
}

TEST(a_try_whose_time_is_over_takes_nothing_and_may_be_repeated)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "7010", 5);
    reserve_in_a_hurry(ctx, order_id);
    CHECK_INT(stock_of("7010"), 5);
    CHECK_INT(reserve(ctx, order_id, "7010", 2), MESH_OK);
    CHECK_INT(stock_of("7010"), 3);
}

TEST(stock_events_are_told_once_if_wanted)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    const char *refused_id = mesh_new_id(ctx);

    given_product(ctx, "7009", 3);
    service.stock_events = true;
    CHECK_INT(reserve(ctx, order_id, "7009", 2), MESH_OK);
    CHECK_INT(reserve(ctx, order_id, "7009", 2), MESH_OK);
    CHECK_INT(reserve(ctx, refused_id, "7009", 2), MESH_FAILED_PRECONDITION);
    service.stock_events = false;
    CHECK_INT(stock_of("7009"), 1);
    CHECK_INT(fixture_events("StockReserved", order_id), 1);
    CHECK_INT(fixture_events("StockReserved", refused_id), 0);
}

TEST_MAIN(setup, teardown)
