/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery_test.h"

static enum mesh_status get(struct mesh_ctx *ctx, bool by_order, const char *id,
                            Delivery__GetDeliveryResponse *ret_response)
{
    Delivery__GetDeliveryRequest request = DELIVERY__GET_DELIVERY_REQUEST__INIT;

    delivery__get_delivery_response__init(ret_response);
    if (by_order) {
        request.by_case = DELIVERY__GET_DELIVERY_REQUEST__BY_ORDER_ID;
        request.order_id = id;
    } else {
        request.by_case = DELIVERY__GET_DELIVERY_REQUEST__BY_DELIVERY_ID;
        request.delivery_id = id;
    }
    return rpc_get_delivery(ctx, &service, &request, ret_response);
}

TEST(FS_F_5_a_placed_order_starts_its_delivery_and_tells_it)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Delivery__GetDeliveryResponse by_order;
    Delivery__GetDeliveryResponse by_id;

    place_order(order_id);
    CHECK_INT(get(ctx, true, order_id, &by_order), MESH_OK);
    CHECK(mesh_is_uuid(by_order.delivery->delivery_id));
    CHECK_INT(by_order.delivery->status, STARTED);
    CHECK_TEXT(by_order.delivery->product_code, "4000");
    CHECK_TEXT(by_order.delivery->size, "S");
    CHECK_INT(by_order.delivery->quantity, 2);
    CHECK_INT(get(ctx, false, by_order.delivery->delivery_id, &by_id), MESH_OK);
    CHECK_TEXT(by_id.delivery->order_id, order_id);
    CHECK_INT(fixture_events("DeliveryStarted", order_id), 1);
}

TEST(FS_F_4_the_same_event_again_starts_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    place_order(order_id);
    place_order(order_id);
    CHECK_INT(FIXTURE_INT64("select count(*) from deliveries where order_id = $1",
                            MESH_ARGS(mesh_uuid(order_id))),
              1);
    CHECK_INT(fixture_events("DeliveryStarted", order_id), 1);
}

TEST(FS_O_8_a_delivery_shows_the_environment_that_started_it)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Delivery__GetDeliveryResponse response;

    place_order(order_id);
    CHECK_INT(get(ctx, true, order_id, &response), MESH_OK);
    CHECK_TEXT(response.delivery->environment, "PROD");
    CHECK_TEXT(delivery_service_settings[0].name, "SYSENV");
    CHECK_TEXT(delivery_service_settings[0].default_value, "LOCAL");
}

TEST(an_unknown_delivery_is_not_found)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Delivery__GetDeliveryResponse response;

    CHECK_INT(get(ctx, true, mesh_new_id(ctx), &response), MESH_NOT_FOUND);
    CHECK_INT(get(ctx, false, mesh_new_id(ctx), &response), MESH_NOT_FOUND);
}

static Delivery__ListDeliveriesResponse list(struct mesh_ctx *ctx, int32_t page_size,
                                             const char *page_token)
{
    Delivery__ListDeliveriesRequest request = DELIVERY__LIST_DELIVERIES_REQUEST__INIT;
    Delivery__ListDeliveriesResponse page = DELIVERY__LIST_DELIVERIES_RESPONSE__INIT;

    request.page_size = page_size;
    request.page_token = page_token;
    CHECK_INT(rpc_list_deliveries(ctx, &service, &request, &page), MESH_OK);
    return page;
}

TEST(a_list_is_newest_first_and_paged)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Delivery__ListDeliveriesResponse page;
    const char *order_ids[5];
    const char *token = "";
    int left = 5;

    CHECK_INT(FIXTURE_INT64("with gone as (delete from deliveries returning 1) select 0::bigint",
                            MESH_NO_ARGS),
              0);
    for (int i = 0; i < left; i++) {
        order_ids[i] = mesh_new_id(ctx);
        place_order(order_ids[i]);
    }
    do {
        page = list(ctx, 2, token);
        for (size_t i = 0; i < page.n_deliveries; i++) {
            CHECK_TEXT(page.deliveries[i]->order_id, order_ids[--left]);
        }
        token = page.next_page_token;
    } while (token[0] != '\0');
    CHECK_INT(left, 0);
}

TEST_MAIN(setup, teardown)
