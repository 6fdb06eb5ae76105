/* SPDX-License-Identifier: Apache-2.0 */
/* DeliveryStarted and DeliveryCancelled in every status, again, and for orders that do not exist.
 */
#include "emitted.h"
#include "loser.h"

TEST(FS_F_5_a_delivery_that_starts_ships_a_placed_order_and_no_other)
{
    begin();
    for (int status = STATUS(RECEIVED); status <= N_STATUSES; status++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct order *order = given(ctx, (Order__OrderStatus)status);
        bool moves = status == STATUS(PLACED);
        int64_t told = n_events(order->order_id);

        for (int i = 0; i < 2; i++) { /* an event may come again */
            start_delivery(order->order_id);
            CHECK_INT(stored(ctx, order->order_id)->status, moves ? STATUS(SHIPPED) : status);
            CHECK_INT(stored(ctx, order->order_id)->version, order->version + moves);
        }
        CHECK_INT(n_events(order->order_id), told); /* nobody waits for it */
    }
}

TEST(FS_F_8_FS_X_7_a_cancelled_delivery_ends_every_order_that_is_not_over)
{
    static const Order__OrderStatus ends[] = {
        [STATUS(RECEIVED)] = STATUS(REJECTED),   [STATUS(PAYMENT_PENDING)] = STATUS(REJECTED),
        [STATUS(PLACED)] = STATUS(CANCELLED),    [STATUS(SHIPPED)] = STATUS(CANCELLED),
        [STATUS(CANCELLED)] = STATUS(CANCELLED), [STATUS(REJECTED)] = STATUS(REJECTED),
    };

    begin();
    for (int status = STATUS(RECEIVED); status <= N_STATUSES; status++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct order *order = given(ctx, (Order__OrderStatus)status);
        bool moves = (int)ends[status] != status;
        int64_t told = n_events(order->order_id);

        for (int i = 0; i < 2; i++) {
            cancel_delivery(order->order_id);
            check_told(ctx, order->order_id, ends[status]);
            CHECK_INT(n_events(order->order_id), told + moves);
            CHECK_INT(stored(ctx, order->order_id)->version, order->version + moves);
        }
    }
}

TEST(an_order_whose_delivery_was_cancelled_before_it_was_paid_says_so_and_is_never_paid)
{
    static const Order__OrderStatus unpaid[] = {STATUS(RECEIVED), STATUS(PAYMENT_PENDING)};

    for (size_t i = 0; i < 2; i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Order__PayOrderResponse response;
        const Order__OrderRejected *event;
        const char *order_id;

        begin();
        order_id = given(ctx, unpaid[i])->order_id;
        cancel_delivery(order_id);
        event = EMITTED(ctx, order__order_rejected, "OrderRejected", order_id);
        CHECK_TEXT(event->reason, "DELIVERY_CANCELLED");
        CHECK_INT(event->payment_asked, unpaid[i] == STATUS(PAYMENT_PENDING));
        CHECK_INT(pay(ctx, order_id, &response), MESH_FAILED_PRECONDITION);
        CHECK_TEXT(mesh_ctx_error_reason(ctx), "DELIVERY_CANCELLED");
        CHECK_INT(fake_asked(FAKE_PAY).n, 0);
    }
}

TEST(a_cancelled_order_is_told_with_its_version)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const Order__OrderCancelled *event;
    struct order *order;

    begin();
    order = given(ctx, STATUS(SHIPPED));
    cancel_delivery(order->order_id);
    event = EMITTED(ctx, order__order_cancelled, "OrderCancelled", order->order_id);
    CHECK_INT(event->version, order->version + 1);
}

TEST(a_delivery_that_starts_late_does_not_revive_a_cancelled_order)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct order *order;

    begin();
    order = given(ctx, STATUS(PLACED));
    cancel_delivery(order->order_id);
    start_delivery(order->order_id);
    check_told(ctx, order->order_id, STATUS(CANCELLED));
}

static enum mesh_status handle_started(struct mesh_ctx *ctx, const char *order_id)
{
    Delivery__DeliveryStarted event = DELIVERY__DELIVERY_STARTED__INIT;
    cleanup_tx struct mesh_tx *tx = NULL;

    event.order_id = order_id;
    MESH_TRY(mesh_tx_begin(ctx, service.db, &tx));
    MESH_TRY(on_delivery_started(ctx, &service, tx, &event));
    return mesh_tx_commit(ctx, &tx);
}

static enum mesh_status handle_cancelled(struct mesh_ctx *ctx, const char *order_id)
{
    Delivery__DeliveryCancelled event = DELIVERY__DELIVERY_CANCELLED__INIT;
    cleanup_tx struct mesh_tx *tx = NULL;

    event.order_id = order_id;
    MESH_TRY(mesh_tx_begin(ctx, service.db, &tx));
    MESH_TRY(on_delivery_cancelled(ctx, &service, tx, &event));
    return mesh_tx_commit(ctx, &tx);
}

/* An order's row is there before anything else is: what has none will never have one. */
TEST(PX_4_an_event_of_an_unknown_order_is_a_strangers_and_does_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    begin();
    CHECK_INT(handle_started(ctx, order_id), MESH_OK);
    CHECK_INT(handle_cancelled(ctx, order_id), MESH_OK);
    CHECK_INT(n_orders(), 0);
    CHECK_INT(n_events(order_id), 0);
}

TEST(an_event_that_loses_comes_again_and_finds_the_new_status)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct loser loser = {.run = handle_cancelled};

    begin();
    loser.order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    lose_to(ctx, TO_PLACED, &loser);
    CHECK_INT(loser.status, MESH_ABORTED); /* the batch is tried again */
    CHECK_INT(handle_cancelled(ctx, loser.order_id), MESH_OK);
    CHECK_INT(stored(ctx, loser.order_id)->status, STATUS(CANCELLED));
}

TEST(a_delivery_that_starts_while_its_order_is_cancelled_does_not_revive_it)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct loser loser = {.run = handle_started};

    begin();
    loser.order_id = given(ctx, STATUS(PLACED))->order_id;
    lose_to(ctx, TO_CANCELLED, &loser);
    CHECK_INT(loser.status, MESH_OK);
    CHECK_INT(stored(ctx, loser.order_id)->status, STATUS(CANCELLED));
}

TEST_MAIN(setup, teardown)
