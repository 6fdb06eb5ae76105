/* SPDX-License-Identifier: Apache-2.0 */
/* What the delivery service holds while it runs, and its handlers. */
#ifndef DELIVERY_SERVICE_H
#define DELIVERY_SERVICE_H

#include "fashion/delivery/v1/delivery.mesh.h"
#include "mesh/main.h"

struct delivery_service {
    struct mesh_db *db;
    const char *environment; /* where this process runs; stored with what it starts */
};

extern const struct delivery_handlers delivery_service_handlers;
extern const struct delivery_inbox_handlers delivery_service_inbox;
extern const struct mesh_setting delivery_service_settings[];

MESH_STATUS delivery_service_start(struct mesh_ctx *ctx, struct mesh_app *app, void **ret_service);
void delivery_service_stop(void *service);

/* One RPC each; each has a file of its name. */
MESH_STATUS rpc_cancel_delivery(struct mesh_ctx *ctx, struct delivery_service *service,
                                const Delivery__CancelDeliveryRequest *request,
                                Delivery__CancelDeliveryResponse *response);
MESH_STATUS rpc_get_delivery(struct mesh_ctx *ctx, struct delivery_service *service,
                             const Delivery__GetDeliveryRequest *request,
                             Delivery__GetDeliveryResponse *response);
MESH_STATUS rpc_list_deliveries(struct mesh_ctx *ctx, struct delivery_service *service,
                                const Delivery__ListDeliveriesRequest *request,
                                Delivery__ListDeliveriesResponse *response);
MESH_STATUS rpc_withdraw_order(struct mesh_ctx *ctx, struct delivery_service *service,
                               const Delivery__WithdrawOrderRequest *request,
                               Delivery__WithdrawOrderResponse *response);

/* One event each. */
MESH_STATUS on_order_placed(struct mesh_ctx *ctx, struct delivery_service *service,
                            struct mesh_tx *tx, const Order__OrderPlaced *event);

#endif
