/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery_test.h"

TEST(a_withdrawn_order_overtakes_the_event_that_places_it)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Delivery__WithdrawOrderResponse response;

    CHECK_INT(withdraw(ctx, order_id, &response), MESH_OK);
    CHECK_INT(response.delivery->status, CANCELLED);
    CHECK_TEXT(response.delivery->product_code, "4000");
    CHECK_TEXT(response.delivery->size, "S");
    CHECK_INT(response.delivery->quantity, 2);
    CHECK_INT(withdraw(ctx, order_id, &response), MESH_OK);
    place_order(order_id);
    CHECK_INT(status_of(order_id), CANCELLED);
    CHECK_INT(fixture_events("DeliveryCancelled", order_id), 1);
    CHECK_INT(fixture_events("DeliveryStarted", order_id), 0);
}

TEST(FS_D_3_what_was_cancelled_one_way_is_not_cancelled_again_the_other_way)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Delivery__CancelDeliveryResponse cancelled;
    Delivery__WithdrawOrderResponse withdrawn;

    place_order(order_id);
    CHECK_INT(cancel(ctx, order_id, &cancelled), MESH_OK);
    CHECK_INT(withdraw(ctx, order_id, &withdrawn), MESH_OK);
    CHECK_TEXT(withdrawn.delivery->delivery_id, cancelled.delivery->delivery_id);
    CHECK_INT(withdrawn.delivery->status, CANCELLED);
    CHECK_INT(cancel(ctx, order_id, &cancelled), MESH_OK);
    CHECK_INT(fixture_events("DeliveryCancelled", order_id), 1);
}

TEST(FS_X_9_where_a_delivery_has_started_what_the_request_says_was_ordered_does_not_count)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Delivery__WithdrawOrderRequest request = DELIVERY__WITHDRAW_ORDER_REQUEST__INIT;
    Delivery__WithdrawOrderResponse response = DELIVERY__WITHDRAW_ORDER_RESPONSE__INIT;

    request.order_id = mesh_new_id(ctx);
    request.product_code = "9999";
    request.size = "M";
    request.quantity = 77;
    place_order(request.order_id);
    CHECK_INT(rpc_withdraw_order(ctx, &service, &request, &response), MESH_OK);
    CHECK_TEXT(response.delivery->product_code, "4000");
    CHECK_TEXT(response.delivery->size, "S");
    CHECK_INT(response.delivery->quantity, 2);
}

/* The id of an order whose delivery has the status. */
static const char *given_delivery(struct mesh_ctx *ctx, Delivery__DeliveryStatus status)
{
    const char *order_id = mesh_new_id(ctx);
    Delivery__CancelDeliveryResponse response;

    if (status != NONE) {
        place_order(order_id);
    }
    if (status == CANCELLED) {
        CHECK_INT(cancel(ctx, order_id, &response), MESH_OK);
    }
    return order_id;
}

static enum mesh_status happen(struct mesh_ctx *ctx, enum delivery_event event,
                               const char *order_id)
{
    Delivery__CancelDeliveryResponse cancelled;
    Delivery__WithdrawOrderResponse withdrawn;

    switch (event) {
    case DELIVERY_ORDER_PLACED:
        place_order(order_id);
        return MESH_OK;
    case DELIVERY_CANCEL:
        return cancel(ctx, order_id, &cancelled);
    default:
        return withdraw(ctx, order_id, &withdrawn);
    }
}

TEST(every_pair_of_event_or_command_and_status_does_what_the_table_says)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    for (int event = 0; event < (int)DELIVERY_N_EVENTS; event++) {
        for (int status = NONE; status <= (int)CANCELLED; status++) {
            const char *order_id = given_delivery(ctx, (Delivery__DeliveryStatus)status);
            int64_t told = fixture_events("DeliveryCancelled", order_id);
            Delivery__DeliveryStatus after =
                delivery_after((enum delivery_event)event, (Delivery__DeliveryStatus)status);

            CHECK_INT(happen(ctx, (enum delivery_event)event, order_id),
                      after == NONE ? MESH_NOT_FOUND : MESH_OK);
            CHECK_INT(status_of(order_id), after == NONE ? -1 : (int)after);
            CHECK_INT(fixture_events("DeliveryCancelled", order_id) - told,
                      after == CANCELLED && status != (int)CANCELLED);
        }
    }
}

TEST(without_its_database_it_answers_try_again)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_hurried_ctx(1000);
    struct mesh_db *dead = fixture_dead_db();
    enum mesh_status status;
    Delivery__WithdrawOrderResponse response;

    service.db = dead;
    status = withdraw(ctx, mesh_new_id(ctx), &response);
    service.db = fixture_db();
    mesh__db_free(dead);
    CHECK(status == MESH_UNAVAILABLE || status == MESH_DEADLINE_EXCEEDED);
}

static void place_or_withdraw(void *arg, int i)
{
    const char *order_id = arg;

    if (i == 0) {
        place_order(order_id);
    } else {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Delivery__WithdrawOrderResponse response;

        CHECK_INT(withdraw(ctx, order_id, &response), MESH_OK);
    }
}

TEST(an_order_beside_its_withdrawals_ends_cancelled_and_is_told_once)
{
    int64_t n_started = 0;

    for (int round = 0; round < 100; round++) {
        char order_id[MESH_UUID_SIZE];

        mesh_uuid_v7(order_id);
        fixture_parallel(4, place_or_withdraw, order_id);
        CHECK_INT(status_of(order_id), CANCELLED);
        CHECK_INT(fixture_events("DeliveryCancelled", order_id), 1);
        n_started += fixture_events("DeliveryStarted", order_id);
    }
    print_message("%d of 100 started first\n", (int)n_started);
}

TEST_MAIN(setup, teardown)
