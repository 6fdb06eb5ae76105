/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery_test.h"

TEST(FS_F_7_FS_X_8_a_cancel_makes_the_delivery_cancelled_and_tells_it)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Delivery__CancelDeliveryResponse response;

    place_order(order_id);
    CHECK_INT(cancel(ctx, order_id, false, &response), MESH_OK);
    CHECK_INT(response.delivery->status, CANCELLED);
    CHECK_TEXT(response.delivery->product_code, "4000");
    CHECK_INT(status_of(order_id), CANCELLED);
    CHECK_INT(fixture_events("DeliveryCancelled", order_id), 1);
}

TEST(FS_D_3_a_second_cancel_changes_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Delivery__CancelDeliveryResponse first;
    Delivery__CancelDeliveryResponse second;

    place_order(order_id);
    CHECK_INT(cancel(ctx, order_id, false, &first), MESH_OK);
    CHECK_INT(cancel(ctx, order_id, false, &second), MESH_OK);
    CHECK_INT(cancel(ctx, order_id, true, &second), MESH_OK);
    CHECK_INT(second.delivery->status, CANCELLED);
    CHECK_TEXT(second.delivery->delivery_id, first.delivery->delivery_id);
    CHECK_INT(second.delivery->update_time->seconds, first.delivery->update_time->seconds);
    CHECK_INT(second.delivery->update_time->nanos, first.delivery->update_time->nanos);
    CHECK_INT(fixture_events("DeliveryCancelled", order_id), 1);
}

TEST(FS_D_3_an_unknown_order_is_not_found_and_leaves_nothing_behind)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Delivery__CancelDeliveryResponse response;

    CHECK_INT(cancel(ctx, order_id, false, &response), MESH_NOT_FOUND);
    CHECK_INT(status_of(order_id), -1);
    CHECK_INT(fixture_events("DeliveryCancelled", order_id), 0);
    place_order(order_id);
    CHECK_INT(status_of(order_id), STARTED);
}

TEST(a_cancel_by_the_order_service_overtakes_the_order)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Delivery__CancelDeliveryResponse response;

    CHECK_INT(cancel(ctx, order_id, true, &response), MESH_OK);
    CHECK_INT(response.delivery->status, CANCELLED);
    CHECK_INT(response.delivery->quantity, 2);
    CHECK_INT(cancel(ctx, order_id, true, &response), MESH_OK);
    place_order(order_id);
    CHECK_INT(status_of(order_id), CANCELLED);
    CHECK_INT(fixture_events("DeliveryCancelled", order_id), 1);
    CHECK_INT(fixture_events("DeliveryStarted", order_id), 0);
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
        CHECK_INT(cancel(ctx, order_id, false, &response), MESH_OK);
    }
    return order_id;
}

TEST(every_pair_of_event_or_command_and_status_does_what_the_table_says)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Delivery__CancelDeliveryResponse response;

    for (int event = DELIVERY_ORDER_PLACED; event <= (int)DELIVERY_CANCEL_BY_ORDER; event++) {
        for (int status = NONE; status <= (int)CANCELLED; status++) {
            Delivery__DeliveryStatus after =
                delivery_after((enum delivery_event)event, (Delivery__DeliveryStatus)status);
            const char *order_id = given_delivery(ctx, (Delivery__DeliveryStatus)status);
            int64_t expected = after == NONE ? status : (int)after;

            if (event == DELIVERY_ORDER_PLACED) {
                place_order(order_id);
            } else {
                CHECK_INT(cancel(ctx, order_id, event == DELIVERY_CANCEL_BY_ORDER, &response),
                          expected == NONE ? MESH_NOT_FOUND : MESH_OK);
            }
            CHECK_INT(status_of(order_id), expected == NONE ? -1 : expected);
        }
    }
}

TEST(without_its_database_it_answers_try_again)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_hurried_ctx(1000);
    struct mesh_db *dead = fixture_dead_db();
    enum mesh_status status;
    Delivery__CancelDeliveryResponse response;

    service.db = dead;
    status = cancel(ctx, mesh_new_id(ctx), true, &response);
    service.db = fixture_db();
    mesh__db_free(dead);
    CHECK(status == MESH_UNAVAILABLE || status == MESH_DEADLINE_EXCEEDED);
}

static void place_or_cancel(void *arg, int i)
{
    const char *order_id = arg;

    if (i == 0) {
        place_order(order_id);
    } else {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Delivery__CancelDeliveryResponse response;

        CHECK_INT(cancel(ctx, order_id, true, &response), MESH_OK);
    }
}

TEST(an_order_beside_its_cancels_ends_cancelled_and_is_told_once)
{
    int64_t n_started = 0;

    for (int round = 0; round < 100; round++) {
        char order_id[MESH_UUID_SIZE];

        mesh_uuid_v7(order_id);
        fixture_parallel(4, place_or_cancel, order_id);
        CHECK_INT(status_of(order_id), CANCELLED);
        CHECK_INT(fixture_events("DeliveryCancelled", order_id), 1);
        n_started += fixture_events("DeliveryStarted", order_id);
    }
    print_message("%d of 100 started first\n", (int)n_started);
}

TEST_MAIN(setup, teardown)
