/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "payment.h"
#include "test.h"

#define NONE PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_UNSPECIFIED
#define PENDING PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PENDING
#define PAID PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID
#define CANCELLED PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_CANCELLED
#define REJECTED PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_REJECTED

TEST(every_event_applies_or_does_nothing_in_every_status)
{
    static const Payment__PaymentStatus expected[PAYMENT_N_EVENTS][REJECTED + 1] = {
        /* from NONE, PENDING, PAID, CANCELLED, REJECTED */
        [PAYMENT_ORDER_REJECTED] = {CANCELLED, PENDING, CANCELLED, CANCELLED, REJECTED},
        [PAYMENT_DELIVERY_CANCELLED] = {CANCELLED, PENDING, CANCELLED, CANCELLED, REJECTED},
    };

    for (int event = 0; event < (int)PAYMENT_N_EVENTS; event++) {
        for (int status = NONE; status <= (int)REJECTED; status++) {
            CHECK_INT(payment_after((enum payment_event)event, (Payment__PaymentStatus)status),
                      expected[event][status]);
        }
    }
}

TEST(a_status_of_a_newer_version_stays_as_it_is)
{
    for (int event = 0; event < (int)PAYMENT_N_EVENTS; event++) {
        CHECK_INT(payment_after((enum payment_event)event, (Payment__PaymentStatus)99), 99);
    }
}

TEST(the_limit_itself_is_paid)
{
    CHECK_INT(payment_decide(100, 100), PAID);
    CHECK_INT(payment_decide(101, 100), REJECTED);
    CHECK_INT(payment_decide(INT64_MAX, INT64_MAX), PAID);
}

static void check_answer(Payment__PaymentStatus status, int64_t amount_krw, int64_t asked_krw,
                         enum mesh_status expected, const char *reason)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    struct payment payment = {.order_id = "o", .status = status, .amount_krw = amount_krw};

    CHECK_INT(payment_check(ctx, &payment, asked_krw), expected);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), reason);
}

TEST(every_payment_answers_a_repeat_of_pay)
{
    check_answer(PAID, 100, 100, MESH_OK, "");
    check_answer(PAID, 100, 101, MESH_ALREADY_EXISTS, "PAYMENT_DIFFERS");
    check_answer(REJECTED, 100, 100, MESH_FAILED_PRECONDITION, "PAYMENT_DECLINED");
    check_answer(REJECTED, 100, 101, MESH_ALREADY_EXISTS, "PAYMENT_DIFFERS");
    check_answer(CANCELLED, 100, 100, MESH_FAILED_PRECONDITION, "PAYMENT_CANCELLED");
    check_answer(CANCELLED, 0, 100, MESH_FAILED_PRECONDITION, "PAYMENT_CANCELLED");
}

TEST(FS_X_17_the_events_tell_the_amount)
{
    struct payment payment = {
        .payment_id = "p", .order_id = "o", .status = PAID, .amount_krw = 100000, .version = 1};
    Payment__PaymentCompleted completed;
    Payment__PaymentCancelled cancelled;

    payment_describe_completed(&payment, &completed);
    CHECK_TEXT(completed.payment_id, "p");
    CHECK_TEXT(completed.order_id, "o");
    CHECK_INT(completed.amount_krw, 100000);
    CHECK_INT(completed.version, 1);
    payment.version = 2;
    payment_describe_cancelled(&payment, &cancelled);
    CHECK_TEXT(cancelled.payment_id, "p");
    CHECK_TEXT(cancelled.order_id, "o");
    CHECK_INT(cancelled.amount_krw, 100000);
    CHECK_INT(cancelled.version, 2);
}

TEST_MAIN(NULL, NULL)
