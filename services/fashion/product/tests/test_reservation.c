/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "reservation.h"
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

TEST_MAIN(NULL, NULL)
