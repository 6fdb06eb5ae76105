/* SPDX-License-Identifier: Apache-2.0 */
/* What the order service holds while it runs, and its handlers. */
#ifndef ORDER_SERVICE_H
#define ORDER_SERVICE_H

#include "fashion/order/v1/order.mesh.h"
#include "mesh/main.h"

struct order_service {
    struct mesh_db *db;
    struct mesh_client *product;
    struct mesh_client *payment;
    struct mesh_client *delivery;
    int64_t pay_window_ms;       /* a PAYMENT_PENDING order is given up after it */
    int64_t pay_retry_ms;        /* first pause before it is tried again; doubled each time */
    int64_t received_timeout_ms; /* an untouched RECEIVED order is given up after it */
};

extern const struct order_handlers order_service_handlers;
extern const struct order_inbox_handlers order_service_inbox;
extern const struct mesh_setting order_service_settings[];

MESH_STATUS order_service_start(struct mesh_ctx *ctx, struct mesh_app *app, void **ret_service);
void order_service_stop(void *service);

/* One RPC each; each has a file of its name. */
MESH_STATUS rpc_place_order(struct mesh_ctx *ctx, struct order_service *service,
                            const Order__PlaceOrderRequest *request,
                            Order__PlaceOrderResponse *response);
MESH_STATUS rpc_pay_order(struct mesh_ctx *ctx, struct order_service *service,
                          const Order__PayOrderRequest *request, Order__PayOrderResponse *response);
MESH_STATUS rpc_cancel_order(struct mesh_ctx *ctx, struct order_service *service,
                             const Order__CancelOrderRequest *request,
                             Order__CancelOrderResponse *response);
MESH_STATUS rpc_get_order(struct mesh_ctx *ctx, struct order_service *service,
                          const Order__GetOrderRequest *request, Order__GetOrderResponse *response);
MESH_STATUS rpc_list_orders(struct mesh_ctx *ctx, struct order_service *service,
                            const Order__ListOrdersRequest *request,
                            Order__ListOrdersResponse *response);

/* One event each. */
MESH_STATUS on_delivery_started(struct mesh_ctx *ctx, struct order_service *service,
                                struct mesh_tx *tx, const Delivery__DeliveryStarted *event);
MESH_STATUS on_delivery_cancelled(struct mesh_ctx *ctx, struct order_service *service,
                                  struct mesh_tx *tx, const Delivery__DeliveryCancelled *event);

/* The job that ends what nobody waits for any more; sweep.c. */
MESH_STATUS sweep_run(struct mesh_ctx *ctx, void *service, bool *ret_more);

#endif
