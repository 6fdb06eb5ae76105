/* SPDX-License-Identifier: Apache-2.0 */
/* The sweep. Time is Postgres' and is moved in the rows. */
#include "core/ctx_impl.h"
#include "emitted.h"
#include "order_test.h"

#include <stdatomic.h>

TEST(a_received_order_is_rejected_once_nobody_has_touched_it_for_its_time)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const Order__OrderRejected *event;
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(RECEIVED))->order_id;
    sweep();
    check_told(ctx, order_id, STATUS(RECEIVED));
    CHECK_INT(FIXTURE_INT64("select count(*) from orders where next_try_at <= now() + "
                            "interval '30 seconds' and next_try_at > now() + interval '15 seconds'",
                            MESH_NO_ARGS),
              1);
    make_due(order_id);
    sweep();
    check_told(ctx, order_id, STATUS(REJECTED));
    event = EMITTED(ctx, order__order_rejected, "OrderRejected", order_id);
    CHECK_TEXT(event->reason, "ABANDONED");
    CHECK(!event->payment_asked);
    CHECK_INT(fake_asked(FAKE_RESERVE).n + fake_asked(FAKE_PAY).n, 0);
}

TEST(FS_N_3_a_pending_order_is_paid_and_placed_when_it_is_due)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    sweep();
    CHECK_INT(fake_asked(FAKE_PAY).n, 0);
    make_due(order_id);
    sweep();
    CHECK_INT(fake_asked(FAKE_PAY).n, 1);
    CHECK_INT(fake_asked(FAKE_PAY).amount_krw, 100000);
    check_told(ctx, order_id, STATUS(PLACED));
    sweep();
    CHECK_INT(fake_asked(FAKE_PAY).n, 1);
}

TEST(a_refused_payment_rejects_a_pending_order)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    make_due(order_id);
    fake_answer(FAKE_PAY, MESH_FAILED_PRECONDITION, "PAYMENT_DECLINED");
    sweep();
    check_told(ctx, order_id, STATUS(REJECTED));
    CHECK_TEXT(stored(ctx, order_id)->reject_reason, "PAYMENT_DECLINED");
}

/* Seconds until its next try, rounded up. */
static int64_t pause_of(const char *order_id)
{
    return FIXTURE_INT64("select ceil(extract(epoch from next_try_at - now()))::bigint "
                         "from orders where order_id = $1",
                         MESH_ARGS(mesh_uuid(order_id)));
}

TEST(a_payment_that_goes_on_failing_is_tried_less_and_less_often)
{
    static const int64_t pauses_s[] = {4, 8, 16, 32, 60, 60, 60};
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct order *order;

    begin();
    service.pay_retry_ms = 4000;
    order = given(ctx, STATUS(PAYMENT_PENDING));
    fake_answer(FAKE_PAY, MESH_UNAVAILABLE, NULL);
    for (size_t i = 0; i < sizeof(pauses_s) / sizeof(pauses_s[0]); i++) {
        make_due(order->order_id);
        sweep();
        CHECK_INT(fake_asked(FAKE_PAY).n, (int)i + 1);
        CHECK(pause_of(order->order_id) <= pauses_s[i]);
        CHECK(pause_of(order->order_id) > pauses_s[i] / 2);
    }
    CHECK_INT(stored(ctx, order->order_id)->version, order->version);
    CHECK_INT(n_events(order->order_id), 1);
    check_told(ctx, order->order_id, STATUS(PAYMENT_PENDING));
}

TEST(the_next_try_is_not_put_off_beyond_the_pay_window)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id;

    begin();
    service.pay_retry_ms = 60000;
    order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    CHECK_INT(FIXTURE_INT64("update orders set pay_before = now() + interval '20 seconds', "
                            "next_try_at = now() where order_id = $1 returning 0::bigint",
                            MESH_ARGS(mesh_uuid(order_id))),
              0);
    fake_answer(FAKE_PAY, MESH_UNAVAILABLE, NULL);
    sweep();
    CHECK_INT(fake_asked(FAKE_PAY).n, 1);
    CHECK_INT(
        FIXTURE_INT64("select count(*) from orders where next_try_at = pay_before", MESH_NO_ARGS),
        1);
    service.pay_window_ms = 1000; /* shorter than the first pause */
    given(ctx, STATUS(PAYMENT_PENDING));
    CHECK_INT(
        FIXTURE_INT64("select count(*) from orders where next_try_at = pay_before", MESH_NO_ARGS),
        2);
}

TEST(after_the_pay_window_the_order_is_rejected_and_payment_not_asked)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const Order__OrderRejected *event;
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    make_late(order_id);
    make_due(order_id);
    sweep();
    CHECK_INT(fake_asked(FAKE_PAY).n, 0);
    check_told(ctx, order_id, STATUS(REJECTED));
    event = EMITTED(ctx, order__order_rejected, "OrderRejected", order_id);
    CHECK_TEXT(event->reason, "PAY_WINDOW_PASSED");
    CHECK(event->payment_asked); /* so payment undoes what it may have done */
}

static void pay_now(void *order_id)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PayOrderResponse response;

    CHECK_INT(pay(ctx, order_id, &response), MESH_OK);
}

TEST(an_order_paid_by_another_meanwhile_is_placed_once)
{
    static const enum mesh_status answers[] = {MESH_OK, MESH_UNAVAILABLE};

    for (size_t i = 0; i < 2; i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        char *order_id;

        begin();
        order_id = mesh_strdup(ctx, given(ctx, STATUS(PAYMENT_PENDING))->order_id);
        make_due(order_id);
        fake_answer(FAKE_PAY, answers[i], NULL);
        fake_during(FAKE_PAY, pay_now, order_id);
        sweep();
        CHECK_INT(fake_asked(FAKE_PAY).n, 2);
        check_told(ctx, order_id, answers[i] == MESH_OK ? STATUS(PLACED) : STATUS(PAYMENT_PENDING));
    }
}

TEST(a_row_that_somebody_is_moving_is_left_alone)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    cleanup_tx struct mesh_tx *tx = NULL;
    struct order *order;
    bool moved;

    begin();
    order = given(ctx, STATUS(PAYMENT_PENDING));
    make_due(order->order_id);
    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    CHECK_INT(store_move_order(ctx, &service, tx, order,
                               &(struct order_move){.to = STATUS(REJECTED)}, &moved),
              MESH_OK);
    sweep(); /* does not wait for it */
    CHECK_INT(fake_asked(FAKE_PAY).n, 0);
    mesh__cleanup_tx(&tx);
    tx = NULL;
    sweep();
    CHECK_INT(fake_asked(FAKE_PAY).n, 1);
}

static void stop(void *stopping)
{
    atomic_store((atomic_bool *)stopping, true);
}

TEST(what_payment_answers_while_the_service_stops_is_recorded)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    atomic_bool stopping = false;
    const char *order_id;
    bool more;

    begin();
    order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    make_due(order_id);
    fake_during(FAKE_PAY, stop, &stopping);
    ctx->cancelled = &stopping;
    CHECK_INT(sweep_run(ctx, &service, &more), MESH_OK);
    ctx->cancelled = NULL;
    CHECK(stopping);
    check_told(ctx, order_id, STATUS(PLACED));
}

TEST_MAIN(setup, teardown)
