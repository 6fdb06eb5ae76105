/* SPDX-License-Identifier: Apache-2.0 */
/* CancelOrder in every status, with every answer of delivery, and against others. */
#include "emitted.h"
#include "loser.h"

static enum mesh_status try_cancel(struct mesh_ctx *ctx, const char *order_id)
{
    Order__CancelOrderResponse response;

    return cancel(ctx, order_id, &response);
}

TEST(an_unpaid_order_is_rejected_at_once)
{
    static const Order__OrderStatus unpaid[] = {STATUS(RECEIVED), STATUS(PAYMENT_PENDING)};

    begin();
    for (size_t i = 0; i < 2; i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        const char *order_id = given(ctx, unpaid[i])->order_id;
        bool payment_asked = unpaid[i] == STATUS(PAYMENT_PENDING);
        Order__CancelOrderResponse response;
        const Order__OrderRejected *event;

        CHECK_INT(cancel(ctx, order_id, &response), MESH_OK);
        CHECK_INT(response.order->status, STATUS(REJECTED));
        CHECK_TEXT(response.order->reject_reason, "CANCELLED_BY_CUSTOMER");
        CHECK_INT(fake_asked(FAKE_WITHDRAW).n, 0);
        check_told(ctx, order_id, STATUS(REJECTED));
        event = EMITTED(ctx, order__order_rejected, "OrderRejected", order_id);
        CHECK_TEXT(event->reason, "CANCELLED_BY_CUSTOMER");
        CHECK_INT(event->payment_asked, payment_asked);
    }
}

TEST(FS_F_7_FS_X_6_a_paid_order_is_cancelled_by_delivery_with_what_was_ordered)
{
    static const Order__OrderStatus paid[] = {STATUS(PLACED), STATUS(SHIPPED)};

    for (size_t i = 0; i < 2; i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Order__CancelOrderResponse response;
        struct fake_asked asked;
        struct order *order;

        begin();
        order = given(ctx, paid[i]);
        CHECK_INT(cancel(ctx, order->order_id, &response), MESH_OK);
        asked = fake_asked(FAKE_WITHDRAW);
        CHECK_INT(asked.n, 1);
        CHECK_TEXT(asked.order_id, order->order_id);
        CHECK_TEXT(asked.product_code, "4000");
        CHECK_TEXT(asked.size, "S");
        CHECK_INT(asked.quantity, 2);
        CHECK_INT(response.order->status, paid[i]); /* delivery's event moves it */
        check_told(ctx, order->order_id, paid[i]);

        cancel_delivery(order->order_id);
        check_told(ctx, order->order_id, STATUS(CANCELLED));
    }
}

TEST(while_delivery_does_not_answer_the_order_stays_as_it_was)
{
    static const Order__OrderStatus paid[] = {STATUS(PLACED), STATUS(SHIPPED)};

    begin();
    for (size_t i = 0; i < 2; i++) {
        for (int answer = MESH_CANCELLED; answer <= MESH_UNAUTHENTICATED; answer++) {
            cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
            struct order *order = given(ctx, paid[i]);

            fake_answer(FAKE_WITHDRAW, (enum mesh_status)answer, "WHATEVER");
            CHECK_INT(try_cancel(ctx, order->order_id), MESH_UNAVAILABLE);
            CHECK(mesh_ctx_error_retry_ms(ctx) > 0);
            CHECK_INT(stored(ctx, order->order_id)->version, order->version);
            check_told(ctx, order->order_id, paid[i]);
        }
    }
}

TEST(FS_D_3_a_cancelled_order_stays_so_and_delivery_is_not_asked_again)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__CancelOrderResponse response;
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(CANCELLED))->order_id;
    CHECK_INT(cancel(ctx, order_id, &response), MESH_OK);
    CHECK_INT(response.order->status, STATUS(CANCELLED));
    CHECK_INT(fake_asked(FAKE_WITHDRAW).n, 0);
    check_told(ctx, order_id, STATUS(CANCELLED));
}

TEST(a_rejected_order_cannot_be_cancelled)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(REJECTED))->order_id;
    CHECK_INT(try_cancel(ctx, order_id), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "PAYMENT_DECLINED");
    CHECK_INT(fake_asked(FAKE_WITHDRAW).n, 0);
    check_told(ctx, order_id, STATUS(REJECTED));
}

TEST(FS_D_3_a_second_cancel_of_an_unpaid_order_changes_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id;
    int64_t version;

    begin();
    order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    CHECK_INT(try_cancel(ctx, order_id), MESH_OK);
    version = stored(ctx, order_id)->version;
    CHECK_INT(try_cancel(ctx, order_id), MESH_OK);
    CHECK_INT(stored(ctx, order_id)->version, version);
    check_told(ctx, order_id, STATUS(REJECTED));
}

TEST(FS_D_3_an_unknown_order_is_not_found)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    begin();
    CHECK_INT(try_cancel(ctx, mesh_new_id(ctx)), MESH_NOT_FOUND);
    CHECK_INT(fake_asked(FAKE_WITHDRAW).n, 0);
}

/* ---- against others ---- */

TEST(a_cancel_that_finds_the_order_rejected_by_others_says_why)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct loser loser = {.run = try_cancel};

    begin();
    loser.order_id = given(ctx, STATUS(RECEIVED))->order_id;
    lose_to(ctx, TO_REJECTED("ABANDONED"), &loser);
    CHECK_INT(loser.status, MESH_FAILED_PRECONDITION);
    CHECK_TEXT(loser.reason, "ABANDONED");
}

TEST(a_cancel_that_finds_the_order_paid_cancels_its_delivery)
{
    static const Order__OrderStatus from[] = {STATUS(RECEIVED), STATUS(PAYMENT_PENDING)};

    for (size_t i = 0; i < 2; i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct loser loser = {.run = try_cancel};

        begin();
        loser.order_id = given(ctx, from[i])->order_id;
        lose_to(ctx, TO_PLACED, &loser);
        CHECK_INT(loser.status, MESH_OK);
        CHECK_INT(fake_asked(FAKE_WITHDRAW).n, 1);
        CHECK_INT(stored(ctx, loser.order_id)->status, STATUS(PLACED));
    }
}

TEST(a_cancel_that_finds_the_order_pending_rejects_it_all_the_same)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct loser loser = {.run = try_cancel};

    begin();
    loser.order_id = given(ctx, STATUS(RECEIVED))->order_id;
    lose_to(ctx, TO_PENDING, &loser);
    CHECK_INT(loser.status, MESH_OK);
    CHECK_TEXT(stored(ctx, loser.order_id)->reject_reason, "CANCELLED_BY_CUSTOMER");
    check_told(ctx, loser.order_id, STATUS(REJECTED));
}

TEST(a_cancel_tells_that_payment_was_asked_although_it_was_asked_after_its_look)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct loser canceller = {.run = try_cancel};
    cleanup_tx struct mesh_tx *tx = NULL;
    const Order__OrderRejected *event;

    begin();
    canceller.order_id = given(ctx, STATUS(RECEIVED))->order_id;
    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &sql_ask_payment,
                            MESH_ARGS(mesh_uuid(canceller.order_id), mesh_int64(100000)),
                            &(struct mesh_rows *){NULL}),
              MESH_OK);
    run_into(ctx, &tx, &canceller);
    CHECK_INT(canceller.status, MESH_OK);
    event = EMITTED(ctx, order__order_rejected, "OrderRejected", canceller.order_id);
    CHECK(event->payment_asked); /* else payment would keep the money */
}

#define N_THREADS 16

struct rush {
    const char *order_id;
    enum mesh_status statuses[N_THREADS];
};

static void cancel_it(void *arg, int i)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct rush *rush = arg;

    rush->statuses[i] = try_cancel(ctx, rush->order_id);
}

TEST(cancels_at_the_same_time_reject_the_order_once)
{
    begin();
    for (int round = 0; round < 20; round++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct rush rush = {.order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id};
        int n_ok = 0;

        fixture_parallel(N_THREADS, cancel_it, &rush);
        for (int i = 0; i < N_THREADS; i++) {
            CHECK(rush.statuses[i] == MESH_OK || rush.statuses[i] == MESH_FAILED_PRECONDITION);
            n_ok += rush.statuses[i] == MESH_OK;
        }
        CHECK(n_ok >= 1);
        check_told(ctx, rush.order_id, STATUS(REJECTED));
    }
}

TEST_MAIN(setup, teardown)
