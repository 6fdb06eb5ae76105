/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS rpc_get_delivery(struct mesh_ctx *ctx, struct delivery_service *service,
                             const Delivery__GetDeliveryRequest *request,
                             Delivery__GetDeliveryResponse *response)
{
    struct delivery *delivery;

    if (request->by_case == DELIVERY__GET_DELIVERY_REQUEST__BY_ORDER_ID) {
        mesh_ctx_set_correlation_id(ctx, request->order_id);
        MESH_TRY(store_get_delivery_of_order(ctx, service->db, request->order_id, &delivery));
        if (delivery == NULL) {
            return delivery_fail_unknown_order(ctx, request->order_id);
        }
    } else {
        MESH_TRY(store_get_delivery(ctx, service->db, request->delivery_id, &delivery));
        if (delivery == NULL) {
            return mesh_fail_resource(ctx, MESH_NOT_FOUND, "delivery", request->delivery_id,
                                      "delivery %s does not exist", request->delivery_id);
        }
    }
    response->delivery = delivery_describe(ctx, delivery);
    return MESH_OK;
}
