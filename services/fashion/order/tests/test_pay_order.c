/* SPDX-License-Identifier: Apache-2.0 */
/* PayOrder in every status, with every answer of payment, and against others. */
#include "loser.h"

static enum mesh_status try_pay(struct mesh_ctx *ctx, const char *order_id)
{
    Order__PayOrderResponse response;

    return pay(ctx, order_id, &response);
}

TEST(FS_N_1_a_pending_order_is_paid_and_placed)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PayOrderResponse response;
    struct order *order;

    begin();
    order = given(ctx, STATUS(PAYMENT_PENDING));
    CHECK_INT(fixture_events("OrderPlaced", order->order_id), 0);
    CHECK_INT(pay(ctx, order->order_id, &response), MESH_OK);
    CHECK_INT(response.order->status, STATUS(PLACED));
    CHECK(mesh_is_uuid(response.order->payment_id));
    CHECK(response.retry_after == NULL);
    CHECK_INT(fake_asked(FAKE_PAY).n, 1);
    CHECK_INT(fake_asked(FAKE_PAY).amount_krw, 100000);
    CHECK_INT(fake_asked(FAKE_RESERVE).n, 0);
    CHECK_INT(stored(ctx, order->order_id)->version, order->version + 1);
    check_told(ctx, order->order_id, STATUS(PLACED));
}

TEST(in_the_other_statuses_payment_is_not_asked)
{
    static const struct {
        Order__OrderStatus status;
        enum mesh_status answer;
        const char *reason;
    } table[] = {
        {STATUS(RECEIVED), MESH_UNAVAILABLE, ""},
        {STATUS(PLACED), MESH_OK, ""},
        {STATUS(SHIPPED), MESH_OK, ""},
        {STATUS(CANCELLED), MESH_FAILED_PRECONDITION, "ORDER_CANCELLED"},
        {STATUS(REJECTED), MESH_FAILED_PRECONDITION, "PAYMENT_DECLINED"},
    };

    begin();
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct order *order = given(ctx, table[i].status);
        Order__PayOrderResponse response;

        CHECK_INT(pay(ctx, order->order_id, &response), table[i].answer);
        CHECK_TEXT(mesh_ctx_error_reason(ctx), table[i].reason);
        if (table[i].answer == MESH_OK) {
            CHECK_INT(response.order->status, table[i].status);
            CHECK(response.retry_after == NULL);
        }
        CHECK_INT(fake_asked(FAKE_PAY).n, 0);
        CHECK_INT(stored(ctx, order->order_id)->version, order->version);
        check_told(ctx, order->order_id, table[i].status);
    }
}

TEST(an_order_that_is_being_placed_asks_to_come_again)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    begin();
    CHECK_INT(try_pay(ctx, given(ctx, STATUS(RECEIVED))->order_id), MESH_UNAVAILABLE);
    CHECK(mesh_ctx_error_retry_ms(ctx) > 0);
}

TEST(an_unknown_order_is_not_found)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    begin();
    CHECK_INT(try_pay(ctx, mesh_new_id(ctx)), MESH_NOT_FOUND);
}

TEST(a_refused_payment_rejects_the_order)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    fake_answer(FAKE_PAY, MESH_FAILED_PRECONDITION, "PAYMENT_DECLINED");
    for (int i = 0; i < 2; i++) {
        CHECK_INT(try_pay(ctx, order_id), MESH_FAILED_PRECONDITION);
        CHECK_TEXT(mesh_ctx_error_reason(ctx), "PAYMENT_DECLINED");
    }
    CHECK_INT(fake_asked(FAKE_PAY).n, 1);
    check_told(ctx, order_id, STATUS(REJECTED));
}

TEST(while_payment_does_not_answer_the_order_goes_on_waiting)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PayOrderResponse response;
    struct order *order;

    begin();
    order = given(ctx, STATUS(PAYMENT_PENDING));
    fake_answer(FAKE_PAY, MESH_DEADLINE_EXCEEDED, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(pay(ctx, order->order_id, &response), MESH_OK);
        CHECK_INT(response.order->status, STATUS(PAYMENT_PENDING));
        CHECK_INT(response.retry_after->seconds, 2);
    }
    CHECK_INT(n_events(order->order_id), 1);
    CHECK_INT(stored(ctx, order->order_id)->version, order->version);
    CHECK_INT(stored(ctx, order->order_id)->pay_before_us, order->pay_before_us);
}

TEST(after_the_pay_window_the_order_is_rejected_and_payment_not_asked)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    make_late(order_id);
    CHECK_INT(try_pay(ctx, order_id), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "PAY_WINDOW_PASSED");
    CHECK_INT(fake_asked(FAKE_PAY).n, 0);
    CHECK(stored(ctx, order_id)->payment_asked); /* so payment undoes what it may have done */
    check_told(ctx, order_id, STATUS(REJECTED));
}

TEST(a_late_payer_who_loses_answers_from_what_it_finds)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct loser loser = {.run = try_pay};

    begin();
    loser.order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    make_late(loser.order_id);
    lose_to(ctx, TO_PLACED, &loser);
    CHECK_INT(loser.status, MESH_OK);
    CHECK_INT(stored(ctx, loser.order_id)->status, STATUS(PLACED));
}

TEST(a_payer_who_loses_answers_from_what_it_finds)
{
    static const enum mesh_status answers[] = {MESH_OK, MESH_NOT_FOUND};

    for (size_t i = 0; i < 2; i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct loser loser = {.run = try_pay};

        begin();
        loser.order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
        fake_answer(FAKE_PAY, answers[i], NULL);
        lose_to(ctx, TO_REJECTED("CANCELLED_BY_CUSTOMER"), &loser);
        CHECK_INT(loser.status, MESH_FAILED_PRECONDITION);
        CHECK_TEXT(loser.reason, "CANCELLED_BY_CUSTOMER");
        CHECK_INT(stored(ctx, loser.order_id)->status, STATUS(REJECTED));
    }
}

static void place_and_cancel(void *order_id)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    CHECK_INT(try_pay(ctx, order_id), MESH_OK);
    cancel_delivery(order_id);
}

TEST(an_order_cancelled_while_it_was_paid_is_told_so)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    char *order_id;

    begin();
    order_id = mesh_strdup(ctx, given(ctx, STATUS(PAYMENT_PENDING))->order_id);
    fake_during(FAKE_PAY, place_and_cancel, order_id);
    CHECK_INT(try_pay(ctx, order_id), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "ORDER_CANCELLED");
    check_told(ctx, order_id, STATUS(CANCELLED));
}

#define N_THREADS 16

struct rush {
    const char *order_id;
    enum mesh_status statuses[N_THREADS];
};

static void pay_it(void *arg, int i)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct rush *rush = arg;

    rush->statuses[i] = try_pay(ctx, rush->order_id);
}

TEST(payers_at_the_same_time_place_the_order_once)
{
    begin();
    for (int round = 0; round < 20; round++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct rush rush = {.order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id};

        fixture_parallel(N_THREADS, pay_it, &rush);
        for (int i = 0; i < N_THREADS; i++) {
            CHECK_INT(rush.statuses[i], MESH_OK);
        }
        check_told(ctx, rush.order_id, STATUS(PLACED));
    }
}

TEST_MAIN(setup, teardown)
