/* SPDX-License-Identifier: Apache-2.0 */
/* What the product service holds while it runs, and its handlers. */
#ifndef PRODUCT_SERVICE_H
#define PRODUCT_SERVICE_H

#include "fashion/product/v1/product.mesh.h"
#include "mesh/batcher.h"
#include "mesh/main.h"

struct product_service {
    struct mesh_db *db;
    bool stock_events;              /* emit StockReserved and StockReleased */
    struct mesh_batcher *reserving; /* by sku */
};

extern const struct product_handlers product_service_handlers;
extern const struct product_inbox_handlers product_service_inbox;
extern const struct mesh_setting product_service_settings[];

MESH_STATUS product_service_start(struct mesh_ctx *ctx, struct mesh_app *app, void **ret_service);
void product_service_stop(void *service);

/* One RPC each; each has a file of its name. */
MESH_STATUS rpc_register_product(struct mesh_ctx *ctx, struct product_service *service,
                                 const Product__RegisterProductRequest *request,
                                 Product__RegisterProductResponse *response);
MESH_STATUS rpc_modify_product(struct mesh_ctx *ctx, struct product_service *service,
                               const Product__ModifyProductRequest *request,
                               Product__ModifyProductResponse *response);
MESH_STATUS rpc_get_product(struct mesh_ctx *ctx, struct product_service *service,
                            const Product__GetProductRequest *request,
                            Product__GetProductResponse *response);
MESH_STATUS rpc_list_products(struct mesh_ctx *ctx, struct product_service *service,
                              const Product__ListProductsRequest *request,
                              Product__ListProductsResponse *response);
MESH_STATUS rpc_reserve_stock(struct mesh_ctx *ctx, struct product_service *service,
                              const Product__ReserveStockRequest *request,
                              Product__ReserveStockResponse *response);

/* One event each. */
MESH_STATUS on_order_rejected(struct mesh_ctx *ctx, struct product_service *service,
                              struct mesh_tx *tx, const Order__OrderRejected *event);
MESH_STATUS on_delivery_cancelled(struct mesh_ctx *ctx, struct product_service *service,
                                  struct mesh_tx *tx, const Delivery__DeliveryCancelled *event);

#endif
