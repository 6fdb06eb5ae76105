/* SPDX-License-Identifier: Apache-2.0 */
/* A delivery and its rules: pure, no SQL, no network, no clock. */
#ifndef DELIVERY_DELIVERY_H
#define DELIVERY_DELIVERY_H

#include "fashion/delivery/v1/delivery.mesh.h"
#include "fashion/delivery/v1/delivery_events.mesh.h"

struct delivery {
    const char *delivery_id;
    const char *order_id;
    Delivery__DeliveryStatus status;
    const char *product_code;
    const char *size;
    int64_t quantity;
    const char *environment;
    int64_t version;
    int64_t created_us;
    int64_t updated_us;
};

enum delivery_event {
    DELIVERY_ORDER_PLACED,
    DELIVERY_CANCEL,   /* CancelDelivery */
    DELIVERY_WITHDRAW, /* WithdrawOrder */
    DELIVERY_N_EVENTS
};
/* The status of a delivery after an event or a command: the same if nothing happens. UNSPECIFIED:
 * the order has no delivery. */
Delivery__DeliveryStatus delivery_after(enum delivery_event event, Delivery__DeliveryStatus status);

/* The public form, in ctx's memory. */
Delivery__Delivery *delivery_describe(struct mesh_ctx *ctx, const struct delivery *delivery);
/* The events; strings are borrowed from delivery. */
void delivery_describe_started(const struct delivery *delivery,
                               Delivery__DeliveryStarted *ret_event);
void delivery_describe_cancelled(const struct delivery *delivery,
                                 Delivery__DeliveryCancelled *ret_event);

/* MESH_NOT_FOUND: the order has no delivery. */
MESH_STATUS delivery_fail_unknown_order(struct mesh_ctx *ctx, const char *order_id);

#endif
