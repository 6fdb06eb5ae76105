/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery.h"

#include "mesh/time.h"

#define NONE DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_UNSPECIFIED
#define STARTED DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_STARTED
#define CANCELLED DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_CANCELLED

#define N_STATUSES (CANCELLED + 1)

/* Every pair of event and status. */
static const Delivery__DeliveryStatus after[DELIVERY_N_EVENTS][N_STATUSES] = {
    [DELIVERY_ORDER_PLACED] =
        {
            [NONE] = STARTED, [STARTED] = STARTED, [CANCELLED] = CANCELLED, /* overtook it */
        },
    [DELIVERY_CANCEL] =
        {
            [NONE] = NONE,
            [STARTED] = CANCELLED,
            [CANCELLED] = CANCELLED,
        },
    [DELIVERY_WITHDRAW] =
        {
            [NONE] = CANCELLED, /* overtook OrderPlaced, which then finds it */
            [STARTED] = CANCELLED,
            [CANCELLED] = CANCELLED,
        },
};

Delivery__DeliveryStatus delivery_after(enum delivery_event event, Delivery__DeliveryStatus status)
{
    if ((size_t)status >= N_STATUSES) {
        return status; /* written by a newer version */
    }
    return after[event][status];
}

Delivery__Delivery *delivery_describe(struct mesh_ctx *ctx, const struct delivery *delivery)
{
    Delivery__Delivery *message = mesh_alloc(ctx, sizeof(*message));

    delivery__delivery__init(message);
    message->delivery_id = delivery->delivery_id;
    message->order_id = delivery->order_id;
    message->status = delivery->status;
    message->product_code = delivery->product_code;
    message->size = delivery->size;
    message->quantity = delivery->quantity;
    message->environment = delivery->environment;
    message->create_time = mesh_timestamp(ctx, delivery->created_us);
    message->update_time = mesh_timestamp(ctx, delivery->updated_us);
    return message;
}

void delivery_describe_started(const struct delivery *delivery,
                               Delivery__DeliveryStarted *ret_event)
{
    delivery__delivery_started__init(ret_event);
    ret_event->delivery_id = delivery->delivery_id;
    ret_event->order_id = delivery->order_id;
    ret_event->product_code = delivery->product_code;
    ret_event->size = delivery->size;
    ret_event->quantity = delivery->quantity;
    ret_event->version = delivery->version;
}

void delivery_describe_cancelled(const struct delivery *delivery,
                                 Delivery__DeliveryCancelled *ret_event)
{
    delivery__delivery_cancelled__init(ret_event);
    ret_event->delivery_id = delivery->delivery_id;
    ret_event->order_id = delivery->order_id;
    ret_event->product_code = delivery->product_code;
    ret_event->size = delivery->size;
    ret_event->quantity = delivery->quantity;
    ret_event->version = delivery->version;
}

MESH_STATUS delivery_fail_unknown_order(struct mesh_ctx *ctx, const char *order_id)
{
    return mesh_fail_resource(ctx, MESH_NOT_FOUND, "order", order_id, "order %s has no delivery",
                              order_id);
}
