/* SPDX-License-Identifier: Apache-2.0 */
/* A row of the dashboard: pure, no SQL, no network, no clock. */
#ifndef CUSTOMERCENTER_DASHBOARD_H
#define CUSTOMERCENTER_DASHBOARD_H

#include "fashion/customercenter/v1/customercenter.mesh.h"

/* What each source has told last; UNSPECIFIED and NULL where it has told nothing yet. */
struct dashboard {
    const char *order_id;
    const char *customer_id;
    const char *product_code;
    const char *size;
    int64_t quantity;
    int64_t total_krw;
    Order__OrderStatus order_status;
    const char *reject_reason;
    Payment__PaymentStatus payment_status;
    const char *payment_id;
    Delivery__DeliveryStatus delivery_status;
    const char *delivery_id;
    int64_t updated_us;
};

/*
 * The status of an order that its own events and those of its delivery say together. It depends on
 * what was told, never on what was told first.
 */
Order__OrderStatus dashboard_order_status(Order__OrderStatus order,
                                          Delivery__DeliveryStatus delivery);
/* The public form, in ctx's memory. */
Customercenter__Dashboard *dashboard_describe(struct mesh_ctx *ctx,
                                              const struct dashboard *dashboard);

#endif
