/* SPDX-License-Identifier: Apache-2.0 */
/* What the payment service holds while it runs, and its handlers. */
#ifndef PAYMENT_SERVICE_H
#define PAYMENT_SERVICE_H

#include "fashion/payment/v1/payment.mesh.h"
#include "mesh/main.h"

struct payment_service {
    struct mesh_db *db;
    int64_t limit_krw; /* a larger amount is declined */
};

extern const struct payment_handlers payment_service_handlers;
extern const struct payment_inbox_handlers payment_service_inbox;
extern const struct mesh_setting payment_service_settings[];

MESH_STATUS payment_service_start(struct mesh_ctx *ctx, struct mesh_app *app, void **ret_service);
void payment_service_stop(void *service);

/* One RPC each; each has a file of its name. */
MESH_STATUS rpc_pay(struct mesh_ctx *ctx, struct payment_service *service,
                    const Payment__PayRequest *request, Payment__PayResponse *response);
MESH_STATUS rpc_get_payment(struct mesh_ctx *ctx, struct payment_service *service,
                            const Payment__GetPaymentRequest *request,
                            Payment__GetPaymentResponse *response);

/* One event each. */
MESH_STATUS on_order_rejected(struct mesh_ctx *ctx, struct payment_service *service,
                              struct mesh_tx *tx, const Order__OrderRejected *event);
MESH_STATUS on_delivery_cancelled(struct mesh_ctx *ctx, struct payment_service *service,
                                  struct mesh_tx *tx, const Delivery__DeliveryCancelled *event);

#endif
