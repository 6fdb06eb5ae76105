/* SPDX-License-Identifier: Apache-2.0 */
/* What the customercenter service holds while it runs, and its handlers. */
#ifndef CUSTOMERCENTER_SERVICE_H
#define CUSTOMERCENTER_SERVICE_H

#include "fashion/customercenter/v1/customercenter.mesh.h"
#include "mesh/main.h"
#include "mesh/signal.h"

struct customercenter_service {
    struct mesh_db *db;
    struct mesh_signal *changed; /* raised after the commit of every event */
};

extern const struct customercenter_handlers customercenter_service_handlers;
extern const struct customercenter_inbox_handlers customercenter_service_inbox;

MESH_STATUS customercenter_service_start(struct mesh_ctx *ctx, struct mesh_app *app,
                                         void **ret_service);
void customercenter_service_stop(void *service);

/* One RPC each; each has a file of its name. */
MESH_STATUS rpc_get_dashboard(struct mesh_ctx *ctx, struct customercenter_service *service,
                              const Customercenter__GetDashboardRequest *request,
                              Customercenter__GetDashboardResponse *response);
MESH_STATUS rpc_list_dashboards(struct mesh_ctx *ctx, struct customercenter_service *service,
                                const Customercenter__ListDashboardsRequest *request,
                                Customercenter__ListDashboardsResponse *response);
MESH_STATUS rpc_watch_dashboards(struct mesh_ctx *ctx, struct customercenter_service *service,
                                 const Customercenter__WatchDashboardsRequest *request,
                                 struct mesh_stream *stream);

/* One event each. */
MESH_STATUS on_order_placed(struct mesh_ctx *ctx, struct customercenter_service *service,
                            struct mesh_tx *tx, const Order__OrderPlaced *event);
MESH_STATUS on_order_payment_pending(struct mesh_ctx *ctx, struct customercenter_service *service,
                                     struct mesh_tx *tx, const Order__OrderPaymentPending *event);
MESH_STATUS on_order_rejected(struct mesh_ctx *ctx, struct customercenter_service *service,
                              struct mesh_tx *tx, const Order__OrderRejected *event);
MESH_STATUS on_order_cancelled(struct mesh_ctx *ctx, struct customercenter_service *service,
                               struct mesh_tx *tx, const Order__OrderCancelled *event);
MESH_STATUS on_payment_completed(struct mesh_ctx *ctx, struct customercenter_service *service,
                                 struct mesh_tx *tx, const Payment__PaymentCompleted *event);
MESH_STATUS on_payment_cancelled(struct mesh_ctx *ctx, struct customercenter_service *service,
                                 struct mesh_tx *tx, const Payment__PaymentCancelled *event);
MESH_STATUS on_delivery_started(struct mesh_ctx *ctx, struct customercenter_service *service,
                                struct mesh_tx *tx, const Delivery__DeliveryStarted *event);
MESH_STATUS on_delivery_cancelled(struct mesh_ctx *ctx, struct customercenter_service *service,
                                  struct mesh_tx *tx, const Delivery__DeliveryCancelled *event);

#endif
