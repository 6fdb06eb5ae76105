/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery_test.h"

TEST(FS_F_7_FS_X_8_a_cancel_makes_the_delivery_cancelled_and_tells_it)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Delivery__CancelDeliveryResponse response;

    place_order(order_id);
    CHECK_INT(cancel(ctx, order_id, &response), MESH_OK);
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
    CHECK_INT(cancel(ctx, order_id, &first), MESH_OK);
    CHECK_INT(cancel(ctx, order_id, &second), MESH_OK);
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

    CHECK_INT(cancel(ctx, order_id, &response), MESH_NOT_FOUND);
    CHECK_INT(status_of(order_id), -1);
    CHECK_INT(fixture_events("DeliveryCancelled", order_id), 0);
    place_order(order_id);
    CHECK_INT(status_of(order_id), STARTED);
}

TEST(without_its_database_it_answers_try_again)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_hurried_ctx(1000);
    struct mesh_db *dead = fixture_dead_db();
    enum mesh_status status;
    Delivery__CancelDeliveryResponse response;

    service.db = dead;
    status = cancel(ctx, mesh_new_id(ctx), &response);
    service.db = fixture_db();
    mesh__db_free(dead);
    CHECK(status == MESH_UNAVAILABLE || status == MESH_DEADLINE_EXCEEDED);
}

TEST_MAIN(setup, teardown)
