/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "reservation.h"
#include "stock.h"
#include "test.h"

TEST(every_event_applies_or_does_nothing_in_every_state)
{
    static const enum reservation_state expected[RESERVATION_N_EVENTS][RESERVATION_RELEASED + 1] = {
        /* from NONE, RESERVED, REFUSED, RELEASED */
        [RESERVATION_ORDER_REJECTED] = {RESERVATION_RELEASED, RESERVATION_RELEASED,
                                        RESERVATION_REFUSED, RESERVATION_RELEASED},
        [RESERVATION_DELIVERY_CANCELLED] = {RESERVATION_RELEASED, RESERVATION_RELEASED,
                                            RESERVATION_REFUSED, RESERVATION_RELEASED},
    };

    for (int event = 0; event < (int)RESERVATION_N_EVENTS; event++) {
        for (int from = RESERVATION_NONE; from <= (int)RESERVATION_RELEASED; from++) {
            CHECK_INT(
                reservation_after((enum reservation_event)event, (enum reservation_state)from),
                expected[event][from]);
        }
    }
}

TEST(a_state_of_a_newer_version_stays_as_it_is)
{
    for (int event = 0; event < (int)RESERVATION_N_EVENTS; event++) {
        CHECK_INT(reservation_after((enum reservation_event)event, (enum reservation_state)99), 99);
    }
}

static Product__Sku sku;
static Product__ReserveStockRequest request;
static struct reservation reservation;

/* A request and the reservation it made. */
static struct mesh_ctx *given(enum reservation_state state)
{
    product__sku__init(&sku);
    sku.code = "4000";
    sku.size = "S";
    product__reserve_stock_request__init(&request);
    request.order_id = "0191a1f0-0000-7000-8000-000000000001";
    request.sku = &sku;
    request.quantity = 2;
    request._expected_total_krw_case =
        PRODUCT__RESERVE_STOCK_REQUEST___EXPECTED_TOTAL_KRW_EXPECTED_TOTAL_KRW;
    request.expected_total_krw = 100000;
    reservation = (struct reservation){.order_id = request.order_id,
                                       .code = "4000",
                                       .size = "S",
                                       .quantity = 2,
                                       .has_expected_total = true,
                                       .expected_total_krw = 100000,
                                       .unit_price_krw = 50000,
                                       .total_krw = 100000,
                                       .state = state,
                                       .reason = "INSUFFICIENT_STOCK"};
    return mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
}

TEST(a_repeat_gets_the_first_answer)
{
    cleanup_ctx struct mesh_ctx *ctx = given(RESERVATION_RESERVED);

    CHECK_INT(reservation_check(ctx, &reservation, &request), MESH_OK);
}

TEST(a_repeat_gets_the_first_refusal_with_its_reason)
{
    cleanup_ctx struct mesh_ctx *ctx = given(RESERVATION_REFUSED);

    CHECK_INT(reservation_check(ctx, &reservation, &request), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "INSUFFICIENT_STOCK");
}

TEST(what_was_released_is_refused_whatever_is_asked)
{
    cleanup_ctx struct mesh_ctx *ctx = given(RESERVATION_RELEASED);

    CHECK_INT(reservation_check(ctx, &reservation, &request), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "RESERVATION_RELEASED");
    request.quantity = 3;
    CHECK_INT(reservation_check(ctx, &reservation, &request), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "RESERVATION_RELEASED");
}

static void check_differs(struct mesh_ctx *ctx)
{
    CHECK_INT(reservation_check(ctx, &reservation, &request), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "RESERVATION_DIFFERS");
}

TEST(another_request_for_the_same_order_is_refused)
{
    cleanup_ctx struct mesh_ctx *ctx = given(RESERVATION_RESERVED);

    request.quantity = 3;
    check_differs(ctx);
    request.quantity = 2;
    sku.size = "M";
    check_differs(ctx);
    sku.size = "S";
    sku.code = "4001";
    check_differs(ctx);
    sku.code = "4000";
    request.expected_total_krw = 100001;
    check_differs(ctx);
    request._expected_total_krw_case = PRODUCT__RESERVE_STOCK_REQUEST___EXPECTED_TOTAL_KRW__NOT_SET;
    check_differs(ctx);
}

static struct reservation decided(int64_t quantity, int64_t stock, int64_t expected_total_krw)
{
    struct reservation asked = {.quantity = quantity,
                                .total_krw = 1000 * quantity,
                                .has_expected_total = expected_total_krw >= 0,
                                .expected_total_krw = expected_total_krw};

    reservation_decide(&asked, stock);
    return asked;
}

TEST(what_fits_is_taken_to_the_last_piece)
{
    struct reservation taken = decided(3, 3, -1);

    CHECK_INT(taken.state, RESERVATION_RESERVED);
    CHECK_TEXT(taken.reason, "");
    CHECK_INT(taken.stock, 0);
    CHECK_INT(decided(3, 5, 3000).state, RESERVATION_RESERVED);
    CHECK_INT(decided(3, 5, 3000).stock, 2);
}

TEST(what_is_refused_leaves_the_stock)
{
    struct reservation short_of = decided(4, 3, -1);
    struct reservation dearer = decided(1, 3, 999);

    CHECK_INT(short_of.state, RESERVATION_REFUSED);
    CHECK_TEXT(short_of.reason, "INSUFFICIENT_STOCK");
    CHECK_INT(short_of.stock, 3);
    CHECK_INT(dearer.state, RESERVATION_REFUSED);
    CHECK_TEXT(dearer.reason, "TOTAL_MISMATCH");
    CHECK_INT(dearer.stock, 3);
    CHECK_TEXT(decided(4, 3, 0).reason, "TOTAL_MISMATCH"); /* first of both, as in the SQL */
}

TEST(a_change_of_stock_is_found_by_its_article)
{
    struct stock_change changes[] = {{.product_id = "a"}, {.product_id = "b"}, {.product_id = "d"}};
    struct stock_changes list = {changes, 3};

    CHECK(stock_change_of(&list, "b") == &changes[1]);
    CHECK(stock_change_of(&list, "d") == &changes[2]);
    CHECK(stock_change_of(&list, "c") == NULL);
    list.n = 0;
    CHECK(stock_change_of(&list, "b") == NULL);
}

TEST(no_two_skus_are_taken_for_the_same)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(1000);
    Product__Sku one = PRODUCT__SKU__INIT, other = PRODUCT__SKU__INIT;

    one.code = "a b";
    one.size = "c";
    other.code = "a";
    other.size = "b c";
    CHECK(strcmp(stock_key(ctx, &one), stock_key(ctx, &other)) != 0);
    other = one;
    CHECK_TEXT(stock_key(ctx, &one), stock_key(ctx, &other));
}

TEST_MAIN(NULL, NULL)
