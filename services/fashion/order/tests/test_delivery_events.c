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

TEST(FS_F_8_FS_X_7_a_cancelled_delivery_cancels_a_paid_order_and_no_other)
{
    begin();
    for (int status = STATUS(RECEIVED); status <= N_STATUSES; status++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct order *order = given(ctx, (Order__OrderStatus)status);
        bool moves = status == STATUS(PLACED) || status == STATUS(SHIPPED);
        int64_t told = n_events(order->order_id);

        for (int i = 0; i < 2; i++) {
            cancel_delivery(order->order_id);
            check_told(ctx, order->order_id,
                       moves ? STATUS(CANCELLED) : (Order__OrderStatus)status);
            CHECK_INT(n_events(order->order_id), told + moves);
            CHECK_INT(stored(ctx, order->order_id)->version, order->version + moves);
        }
        CHECK(!moves || stored(ctx, order->order_id)->payment_id != NULL);
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

TEST(PX_4_an_event_of_an_unknown_order_is_an_error_that_stores_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    begin();
    CHECK_INT(handle_started(ctx, order_id), MESH_NOT_FOUND);
    CHECK_INT(handle_cancelled(ctx, order_id), MESH_NOT_FOUND);
    CHECK_INT(n_orders(), 0);
    CHECK_INT(n_events(order_id), 0);
}

TEST(an_event_that_loses_comes_again_and_finds_the_new_status)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct loser loser = {.run = handle_started};

    begin();
    loser.order_id = given(ctx, STATUS(PLACED))->order_id;
    lose_to(ctx, TO_CANCELLED, &loser);
    CHECK_INT(loser.status, MESH_ABORTED); /* the batch is tried again */
    CHECK_INT(handle_started(ctx, loser.order_id), MESH_OK);
    CHECK_INT(stored(ctx, loser.order_id)->status, STATUS(CANCELLED));
}

TEST_MAIN(setup, teardown)
