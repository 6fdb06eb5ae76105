/* SPDX-License-Identifier: Apache-2.0 */
#include "dashboard.h"

#include "mesh/time.h"

#define ORDER(name) ORDER__ORDER_STATUS__ORDER_STATUS_##name
#define DELIVERY(name) DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_##name

#define N_ORDER_STATUSES (ORDER(REJECTED) + 1)
#define N_DELIVERY_STATUSES (DELIVERY(CANCELLED) + 1)

/* What is shown for every pair of statuses. */
static const Order__OrderStatus shown[N_ORDER_STATUSES][N_DELIVERY_STATUSES] = {
    /* what the order says, then with: no delivery, one that started, one that was cancelled */
    [ORDER(UNSPECIFIED)] = {ORDER(UNSPECIFIED), ORDER(SHIPPED), ORDER(CANCELLED)},
    [ORDER(RECEIVED)] = {ORDER(RECEIVED), ORDER(SHIPPED), ORDER(CANCELLED)},
    [ORDER(PAYMENT_PENDING)] = {ORDER(PAYMENT_PENDING), ORDER(SHIPPED), ORDER(CANCELLED)},
    [ORDER(PLACED)] = {ORDER(PLACED), ORDER(SHIPPED), ORDER(CANCELLED)},
    [ORDER(SHIPPED)] = {ORDER(SHIPPED), ORDER(SHIPPED), ORDER(CANCELLED)},
    [ORDER(CANCELLED)] = {ORDER(CANCELLED), ORDER(CANCELLED), ORDER(CANCELLED)},
    [ORDER(REJECTED)] = {ORDER(REJECTED), ORDER(REJECTED), ORDER(REJECTED)},
};

Order__OrderStatus dashboard_order_status(Order__OrderStatus order,
                                          Delivery__DeliveryStatus delivery)
{
    if ((size_t)order >= N_ORDER_STATUSES || (size_t)delivery >= N_DELIVERY_STATUSES) {
        return order; /* written by a newer version */
    }
    return shown[order][delivery];
}

Customercenter__Dashboard *dashboard_describe(struct mesh_ctx *ctx,
                                              const struct dashboard *dashboard)
{
    Customercenter__Dashboard *message = mesh_alloc(ctx, sizeof(*message));

    customercenter__dashboard__init(message);
    message->order_id = dashboard->order_id;
    message->customer_id = dashboard->customer_id;
    message->product_code = dashboard->product_code;
    message->size = dashboard->size;
    message->quantity = dashboard->quantity;
    message->total_krw = dashboard->total_krw;
    message->order_status =
        dashboard_order_status(dashboard->order_status, dashboard->delivery_status);
    message->payment_status = dashboard->payment_status;
    message->delivery_status = dashboard->delivery_status;
    if (dashboard->payment_id != NULL) {
        message->payment_id = dashboard->payment_id;
    }
    if (dashboard->delivery_id != NULL) {
        message->delivery_id = dashboard->delivery_id;
    }
    message->reject_reason = dashboard->reject_reason;
    message->update_time = mesh_timestamp(ctx, dashboard->updated_us);
    return message;
}
