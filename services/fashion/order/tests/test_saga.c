/* SPDX-License-Identifier: Apache-2.0 */
/* The saga alone: peers, store and events are fakes; what is checked is who is asked for what, and
 * when. */
#include "fake_saga.h"
#include "saga.h"
#include "test.h"

static struct order_service service = {.pay_window_ms = 600000, .pay_retry_ms = 2000};
static struct mesh_ctx *ctx;

static void begin(Order__OrderStatus status)
{
    memset(&fake, 0, sizeof(fake));
    fake.reason = "BECAUSE";
    fake.paid_status = PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID;
    fake.stored = status;
    mesh__cleanup_ctx(&ctx);
    ctx = mesh_ctx_background(5000);
    fake_order = mesh_alloc(ctx, sizeof(*fake_order));
    fake_order->order_id = "0190c2a0-0000-7000-8000-000000000001";
    fake_order->customer_id = "customer";
    fake_order->product_code = "4000";
    fake_order->size = "S";
    fake_order->quantity = 2;
    fake_order->status = status;
    fake_order->reject_reason = "";
}

TEST(an_order_takes_stock_then_money_then_is_placed)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    CHECK_INT(saga_advance(ctx, &service, &fake_order), MESH_OK);
    CHECK_INT(fake_order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PLACED);
    CHECK_INT(fake.n_reserve + fake.n_pay + fake.n_placed, 3);
    CHECK_INT(fake.paid_amount, 100000);
}

TEST(refused_stock_rejects_the_order_and_payment_is_never_asked)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.reserve = MESH_FAILED_PRECONDITION;
    CHECK_INT(saga_advance(ctx, &service, &fake_order), MESH_OK);
    CHECK_INT(fake_order->status, ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED);
    CHECK_TEXT(fake.rejected_reason, "BECAUSE");
    CHECK(!fake.rejected_payment_asked);
    CHECK_INT(fake.n_pay, 0);
}

TEST(unreachable_product_leaves_the_order_received_and_asks_to_repeat)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.reserve = MESH_UNAVAILABLE;
    CHECK_INT(saga_advance(ctx, &service, &fake_order), MESH_UNAVAILABLE);
    CHECK(mesh_ctx_error_retry_ms(ctx) > 0);
    CHECK_INT(fake.stored, ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    CHECK_INT(fake.n_moves + fake.n_pay + fake.n_rejected, 0);
}

TEST(declined_payment_rejects_the_order)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.pay = MESH_FAILED_PRECONDITION;
    CHECK_INT(saga_advance(ctx, &service, &fake_order), MESH_OK);
    CHECK_INT(fake_order->status, ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED);
    CHECK(fake.rejected_payment_asked);
    CHECK_INT(fake.n_placed, 0);
}

TEST(payment_that_does_not_answer_leaves_the_order_pending)
{
    static const enum mesh_status unknown[] = {
        MESH_UNAVAILABLE, MESH_DEADLINE_EXCEEDED,  MESH_INTERNAL, MESH_UNKNOWN,
        MESH_CANCELLED,   MESH_RESOURCE_EXHAUSTED, MESH_ABORTED,  MESH_UNIMPLEMENTED};

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
        fake.pay = unknown[i];
        CHECK_INT(saga_advance(ctx, &service, &fake_order), MESH_OK);
        CHECK_INT(fake_order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
        CHECK(fake.n_pending == 1 && fake.n_placed == 0 && fake.n_rejected == 0);
    }
}

TEST(an_answer_of_payment_that_does_not_say_paid_places_nothing)
{
    for (int status = PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_UNSPECIFIED;
         status <= PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_REJECTED; status++) {
        begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
        fake.paid_status = (Payment__PaymentStatus)status;
        CHECK_INT(saga_advance(ctx, &service, &fake_order), MESH_OK);
        CHECK_INT(fake.n_placed, status == PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID);
        CHECK_INT(fake.n_pending, status != PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID);
    }
}

TEST(without_time_for_payment_it_is_not_asked_and_the_order_waits)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.pay = MESH_DEADLINE_EXCEEDED; /* what the stub answers without sending */
    CHECK_INT(saga_advance(mesh_ctx_timeout(ctx, 50), &service, &fake_order), MESH_OK);
    CHECK_INT(fake_order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
}

TEST(an_order_rejected_meanwhile_is_not_paid)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.stored = ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED; /* the sweep was quicker */
    CHECK_INT(saga_advance(ctx, &service, &fake_order), MESH_OK);
    CHECK_INT(fake_order->status, ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED);
    CHECK_INT(fake.n_pay, 0);
}

TEST(the_loser_of_a_race_answers_from_what_it_finds)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.moved_by_other = ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED;
    CHECK_INT(saga_advance(ctx, &service, &fake_order), MESH_OK);
    CHECK_INT(fake_order->status, ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED);
    CHECK_INT(fake.n_placed, 0);
}

TEST(a_paid_order_that_became_pending_meanwhile_is_placed)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.moved_by_other = ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING;
    CHECK_INT(saga_advance(ctx, &service, &fake_order), MESH_OK);
    CHECK_INT(fake_order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PLACED);
    CHECK_INT(fake.n_placed, 1);
}

TEST(a_commit_of_unknown_outcome_is_never_told_as_a_refusal)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.commit = MESH_UNKNOWN;
    CHECK_INT(saga_advance(ctx, &service, &fake_order), MESH_UNAVAILABLE);
    CHECK(mesh_ctx_error_retry_ms(ctx) > 0);
}

TEST(a_pending_order_whose_payment_is_still_away_stays_pending)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
    fake.n_asked = 1;
    fake.pay = MESH_UNAVAILABLE;
    CHECK_INT(saga_pay(ctx, &service, &fake_order), MESH_OK);
    CHECK_INT(fake_order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
    CHECK_INT(fake.n_moves, 0);
}

TEST(giving_up_never_rejects_an_order_that_somebody_moved)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.moved_by_other = ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING;
    CHECK_INT(saga_give_up(ctx, &service, &fake_order, "ABANDONED"), MESH_OK);
    CHECK_INT(fake_order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
    CHECK_INT(fake.n_rejected, 0);
}

TEST(a_rejected_order_answers_its_stored_reason)
{
    Order__Order *described = NULL;
    Google__Protobuf__Duration *pause = NULL;

    begin(ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED);
    fake_order->reject_reason = "INSUFFICIENT_STOCK";
    CHECK_INT(saga_answer(ctx, &service, fake_order, &described, &pause), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "INSUFFICIENT_STOCK");
    CHECK(described == NULL);
}

TEST(a_pending_order_answers_ok_with_a_pause)
{
    Order__Order *described = NULL;
    Google__Protobuf__Duration *pause = NULL;

    begin(ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
    CHECK_INT(saga_answer(ctx, &service, fake_order, &described, &pause), MESH_OK);
    CHECK_INT(pause->seconds, 2);
}

TEST_MAIN(NULL, NULL)
