/* SPDX-License-Identifier: Apache-2.0 */
/* PlaceOrder, one try at a time: the good path, every refusal, every failure of a peer. */
#include "emitted.h"
#include "order_test.h"

static const enum mesh_status refusals[] = {MESH_FAILED_PRECONDITION, MESH_NOT_FOUND,
                                            MESH_INVALID_ARGUMENT, MESH_OUT_OF_RANGE,
                                            MESH_ALREADY_EXISTS};

/* All other failures: what happened is not known. */
static const enum mesh_status unknowns[] = {
    MESH_CANCELLED,          MESH_UNKNOWN,   MESH_DEADLINE_EXCEEDED, MESH_PERMISSION_DENIED,
    MESH_RESOURCE_EXHAUSTED, MESH_ABORTED,   MESH_UNIMPLEMENTED,     MESH_INTERNAL,
    MESH_UNAVAILABLE,        MESH_DATA_LOSS, MESH_UNAUTHENTICATED};

#define N_REFUSALS (sizeof(refusals) / sizeof(refusals[0]))
#define N_UNKNOWNS (sizeof(unknowns) / sizeof(unknowns[0]))

TEST(together_they_are_all_failures)
{
    CHECK_INT(N_REFUSALS + N_UNKNOWNS, MESH_UNAUTHENTICATED);
}

TEST(FS_F_2_FS_F_3_an_order_takes_stock_and_money_and_is_placed)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderResponse response;
    struct fake_asked reserve;
    struct fake_asked paid;

    begin();
    CHECK_INT(place(ctx, request_of(ctx), &response), MESH_OK);
    CHECK(mesh_is_uuid(response.order->order_id));
    CHECK_INT(response.order->status, STATUS(PLACED));
    CHECK_TEXT(response.order->customer_id, "c1");
    CHECK_TEXT(response.order->product_code, "4000");
    CHECK_TEXT(response.order->size, "S");
    CHECK_INT(response.order->quantity, 2);
    CHECK_INT(response.order->total_krw, 100000);
    CHECK(mesh_is_uuid(response.order->payment_id));
    CHECK_TEXT(response.order->reject_reason, "");
    CHECK(response.order->pay_before == NULL);
    CHECK(response.order->create_time->seconds > 1600000000);
    CHECK(response.order->update_time->seconds >= response.order->create_time->seconds);
    CHECK(response.retry_after == NULL);

    reserve = fake_asked(FAKE_RESERVE);
    CHECK_INT(reserve.n, 1);
    CHECK_TEXT(reserve.order_id, response.order->order_id);
    CHECK_TEXT(reserve.product_code, "4000");
    CHECK_TEXT(reserve.size, "S");
    CHECK_INT(reserve.quantity, 2);
    CHECK(!reserve.has_expected_total);
    paid = fake_asked(FAKE_PAY);
    CHECK_INT(paid.n, 1);
    CHECK_TEXT(paid.order_id, response.order->order_id);
    CHECK_INT(paid.amount_krw, 100000);
}

TEST(FS_O_3_a_placed_order_is_stored_and_told_once)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    const Order__OrderPlaced *event;
    struct order *order;

    begin();
    CHECK_INT(try_place(ctx, request), MESH_OK);
    order = stored_for(ctx, request);
    CHECK_INT(order->status, STATUS(PLACED));
    CHECK_INT(order->total_krw, 100000);
    CHECK(order->payment_asked);
    CHECK_INT(order->version, 2);
    CHECK_INT(n_events(order->order_id), 1);

    event = EMITTED(ctx, order__order_placed, "OrderPlaced", order->order_id);
    CHECK_TEXT(event->customer_id, "c1");
    CHECK_TEXT(event->product_code, "4000");
    CHECK_TEXT(event->size, "S");
    CHECK_INT(event->quantity, 2);
    CHECK_INT(event->total_krw, 100000);
    CHECK_TEXT(event->payment_id, order->payment_id);
    CHECK_INT(event->version, 2);
}

TEST(the_total_that_the_customer_expects_is_checked_by_product)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);

    begin();
    request->_expected_total_krw_case =
        ORDER__PLACE_ORDER_REQUEST___EXPECTED_TOTAL_KRW_EXPECTED_TOTAL_KRW;
    request->expected_total_krw = 99999;
    fake_answer(FAKE_RESERVE, MESH_FAILED_PRECONDITION, "TOTAL_MISMATCH");
    CHECK_INT(try_place(ctx, request), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "TOTAL_MISMATCH");
    CHECK(fake_asked(FAKE_RESERVE).has_expected_total);
    CHECK_INT(fake_asked(FAKE_RESERVE).expected_total_krw, 99999);
    CHECK_INT(fake_asked(FAKE_PAY).n, 0);
}

/* A refused order, and its repeat, which asks nobody. */
static void check_refusal(const char *reason, bool payment_asked)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    const Order__OrderRejected *event;
    struct order *order;

    for (int i = 0; i < 2; i++) {
        CHECK_INT(try_place(ctx, request), MESH_FAILED_PRECONDITION);
        CHECK_TEXT(mesh_ctx_error_reason(ctx), reason);
        fake_reset();
    }
    order = stored_for(ctx, request);
    CHECK_TEXT(order->reject_reason, reason);
    CHECK_INT(order->payment_asked, payment_asked);
    CHECK_INT(order->total_krw, payment_asked ? 100000 : 0);
    CHECK(order->payment_id == NULL);
    check_told(ctx, order->order_id, STATUS(REJECTED));
    CHECK_INT(n_events(order->order_id), 1);
    event = EMITTED(ctx, order__order_rejected, "OrderRejected", order->order_id);
    CHECK_TEXT(event->reason, reason);
    CHECK_INT(event->payment_asked, payment_asked);
    CHECK_INT(event->version, 2);
}

TEST(FS_D_1_FS_X_4_a_refusal_of_product_rejects_the_order_and_asks_for_no_money)
{
    begin();
    for (size_t i = 0; i < N_REFUSALS; i++) {
        fake_answer(FAKE_RESERVE, refusals[i], "INSUFFICIENT_STOCK");
        check_refusal("INSUFFICIENT_STOCK", false);
    }
    fake_answer(FAKE_RESERVE, MESH_NOT_FOUND, NULL);
    check_refusal("STOCK_REFUSED", false);
}

TEST(FS_D_4_FS_X_5_a_refusal_of_payment_rejects_the_order)
{
    begin();
    for (size_t i = 0; i < N_REFUSALS; i++) {
        fake_answer(FAKE_PAY, refusals[i], "PAYMENT_DECLINED");
        check_refusal("PAYMENT_DECLINED", true);
    }
    fake_answer(FAKE_PAY, MESH_OUT_OF_RANGE, NULL);
    check_refusal("PAYMENT_REFUSED", true);
}

static void check_pending(void)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    const Order__OrderPaymentPending *event;
    Order__PlaceOrderResponse response;
    struct order *order;

    CHECK_INT(place(ctx, request, &response), MESH_OK);
    CHECK_INT(response.order->status, STATUS(PAYMENT_PENDING));
    CHECK_INT(response.retry_after->seconds, 2);
    CHECK_TEXT(response.order->payment_id, "");
    CHECK_INT(response.order->pay_before->seconds - response.order->update_time->seconds, 600);
    order = stored_for(ctx, request);
    CHECK(order->payment_asked && order->payment_id == NULL);
    check_told(ctx, order->order_id, STATUS(PAYMENT_PENDING));
    CHECK_INT(n_events(order->order_id), 1);
    event = EMITTED(ctx, order__order_payment_pending, "OrderPaymentPending", order->order_id);
    CHECK_INT(event->total_krw, 100000);
    CHECK_INT(event->pay_before->seconds, response.order->pay_before->seconds);
    CHECK_INT(event->version, 2);
}

TEST(FS_N_1_FS_X_1_FS_X_2_any_other_failure_of_payment_leaves_the_order_pending)
{
    begin();
    for (size_t i = 0; i < N_UNKNOWNS; i++) {
        fake_answer(FAKE_PAY, unknowns[i], "WHATEVER");
        check_pending();
    }
}

TEST(any_other_failure_of_product_leaves_it_received_and_the_same_request_goes_on)
{
    begin();
    for (size_t i = 0; i < N_UNKNOWNS; i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Order__PlaceOrderRequest *request = request_of(ctx);
        struct order *order;

        fake_answer(FAKE_RESERVE, unknowns[i], "WHATEVER");
        CHECK_INT(try_place(ctx, request), MESH_UNAVAILABLE);
        CHECK(mesh_ctx_error_retry_ms(ctx) > 0);
        order = stored_for(ctx, request);
        CHECK_INT(order->status, STATUS(RECEIVED));
        CHECK(!order->payment_asked && order->version == 1);
        CHECK_INT(n_events(order->order_id), 0);

        fake_reset();
        CHECK_INT(try_place(ctx, request), MESH_OK);
        check_told(ctx, order->order_id, STATUS(PLACED));
        CHECK_INT(n_events(order->order_id), 1);
        CHECK_INT(fake_asked(FAKE_PAY).n, 1);
    }
}

TEST_MAIN(setup, teardown)
