/* SPDX-License-Identifier: Apache-2.0 */
/* The same request id again: later, at the same time, with another body. */
#include "order_test.h"

#include <ctype.h>

TEST(a_repeat_answers_the_present_state_and_asks_nobody)
{
    begin();
    for (int status = STATUS(PAYMENT_PENDING); status <= STATUS(CANCELLED); status++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Order__PlaceOrderRequest *request = request_of(ctx);
        struct order *order = take_to(ctx, request, (Order__OrderStatus)status);
        Order__PlaceOrderResponse response;
        int64_t told = n_events(order->order_id);

        CHECK_INT(place(ctx, request, &response), MESH_OK);
        CHECK_TEXT(response.order->order_id, order->order_id);
        CHECK_INT(response.order->status, status);
        CHECK_INT(response.retry_after != NULL, status == STATUS(PAYMENT_PENDING));
        CHECK_INT(fake_asked(FAKE_RESERVE).n + fake_asked(FAKE_PAY).n, 0);
        CHECK_INT(n_events(order->order_id), told);
        CHECK_INT(stored(ctx, order->order_id)->version, order->version);
    }
}

TEST(a_repeat_of_a_refused_request_gets_the_stored_refusal)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);

    begin();
    take_to(ctx, request, STATUS(REJECTED));
    CHECK_INT(try_place(ctx, request), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "PAYMENT_DECLINED");
    CHECK_INT(fake_asked(FAKE_RESERVE).n + fake_asked(FAKE_PAY).n, 0);
}

TEST(a_repeat_of_a_received_request_goes_on)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    Order__PlaceOrderResponse response;
    struct order *order;

    begin();
    request->_expected_total_krw_case =
        ORDER__PLACE_ORDER_REQUEST___EXPECTED_TOTAL_KRW_EXPECTED_TOTAL_KRW;
    request->expected_total_krw = 100000;
    order = take_to(ctx, request, STATUS(RECEIVED));
    CHECK_INT(place(ctx, request, &response), MESH_OK);
    CHECK_INT(response.order->status, STATUS(PLACED));
    CHECK_TEXT(fake_asked(FAKE_RESERVE).order_id, order->order_id);
    CHECK_INT(fake_asked(FAKE_RESERVE).expected_total_krw, 100000); /* what was not stored */
    check_told(ctx, order->order_id, STATUS(PLACED));
    CHECK_INT(n_orders(), 1);
}

TEST(a_repeat_keeps_the_sweep_away)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    struct order *order;

    begin();
    order = take_to(ctx, request, STATUS(RECEIVED));
    make_due(order->order_id);
    fake_answer(FAKE_RESERVE, MESH_UNAVAILABLE, NULL);
    CHECK_INT(try_place(ctx, request), MESH_UNAVAILABLE);
    sweep();
    check_told(ctx, order->order_id, STATUS(RECEIVED));
}

static void check_other_body(struct mesh_ctx *ctx, Order__PlaceOrderRequest other)
{
    CHECK_INT(try_place(ctx, &other), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "REQUEST_ID_REUSED");
}

TEST(the_same_id_with_another_body_is_refused_in_every_status)
{
    begin();
    for (int status = STATUS(RECEIVED); status <= N_STATUSES; status++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Order__PlaceOrderRequest *request = request_of(ctx);
        struct order *order = take_to(ctx, request, (Order__OrderStatus)status);
        int64_t told = n_events(order->order_id);
        Order__PlaceOrderRequest other = *request;

        other.quantity = 3;
        check_other_body(ctx, other);
        CHECK_INT(fake_asked(FAKE_RESERVE).n + fake_asked(FAKE_PAY).n, 0);
        CHECK_INT(n_events(order->order_id), told);
        CHECK_INT(stored(ctx, order->order_id)->quantity, 2);
        CHECK_INT(stored(ctx, order->order_id)->version, order->version);
    }
    CHECK_INT(n_orders(), N_STATUSES);
}

TEST(every_field_makes_another_body)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    Order__PlaceOrderRequest other[5];

    begin();
    CHECK_INT(try_place(ctx, request), MESH_OK);
    for (int i = 0; i < 5; i++) {
        other[i] = *request;
    }
    other[0].customer_id = "c2";
    other[1].product_code = "4001";
    other[2].size = "M";
    other[3].quantity = 1;
    other[4]._expected_total_krw_case =
        ORDER__PLACE_ORDER_REQUEST___EXPECTED_TOTAL_KRW_EXPECTED_TOTAL_KRW;
    other[4].expected_total_krw = 0; /* set to 0 is not the same as not set */
    for (int i = 0; i < 5; i++) {
        check_other_body(ctx, other[i]);
    }
}

TEST(unknown_fields_and_the_letters_of_the_id_make_no_other_body)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    uint8_t value = 1;
    ProtobufCMessageUnknownField unknown = {
        .tag = 99, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1, .data = &value};
    Order__PlaceOrderRequest other = *request;
    char *upper = mesh_strdup(ctx, request->request_id);

    begin();
    CHECK_INT(try_place(ctx, request), MESH_OK);
    for (char *c = upper; *c != '\0'; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
    other.request_id = upper;
    other.base.n_unknown_fields = 1;
    other.base.unknown_fields = &unknown;
    CHECK_INT(try_place(ctx, &other), MESH_OK);
    CHECK_INT(n_orders(), 1);
}

#define N_THREADS 16

struct rush {
    const Order__PlaceOrderRequest *request;
    enum mesh_status statuses[N_THREADS];
    char order_ids[N_THREADS][MESH_UUID_SIZE];
};

static void place_it(void *arg, int i)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct rush *rush = arg;
    Order__PlaceOrderResponse response;

    rush->statuses[i] = place(ctx, rush->request, &response);
    if (rush->statuses[i] == MESH_OK) {
        memcpy(rush->order_ids[i], response.order->order_id, MESH_UUID_SIZE);
    }
}

TEST(PX_3_repeats_at_the_same_time_are_one_order)
{
    begin();
    for (int round = 0; round < 20; round++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct rush rush = {.request = request_of(ctx)};
        struct order *order;

        fixture_parallel(N_THREADS, place_it, &rush);
        order = stored_for(ctx, rush.request);
        for (int i = 0; i < N_THREADS; i++) {
            CHECK_INT(rush.statuses[i], MESH_OK);
            CHECK_TEXT(rush.order_ids[i], order->order_id);
        }
        check_told(ctx, order->order_id, STATUS(PLACED));
        CHECK_INT(n_events(order->order_id), 1);
        CHECK_INT(n_orders(), round + 1);
    }
}

TEST(repeats_at_the_same_time_of_a_refused_request_are_refused_once)
{
    begin();
    fake_answer(FAKE_PAY, MESH_FAILED_PRECONDITION, "PAYMENT_DECLINED");
    for (int round = 0; round < 20; round++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct rush rush = {.request = request_of(ctx)};
        struct order *order;

        fixture_parallel(N_THREADS, place_it, &rush);
        order = stored_for(ctx, rush.request);
        for (int i = 0; i < N_THREADS; i++) {
            CHECK_INT(rush.statuses[i], MESH_FAILED_PRECONDITION);
        }
        check_told(ctx, order->order_id, STATUS(REJECTED));
        CHECK_INT(n_events(order->order_id), 1);
    }
}

TEST_MAIN(setup, teardown)
