/* SPDX-License-Identifier: Apache-2.0 */
#include "order.h"

#include "mesh/time.h"

bool order_is_refusal(enum mesh_status status)
{
    switch (status) {
    case MESH_FAILED_PRECONDITION:
    case MESH_NOT_FOUND:
    case MESH_INVALID_ARGUMENT:
    case MESH_OUT_OF_RANGE:
    case MESH_ALREADY_EXISTS:
        return true;
    default:
        return false;
    }
}

#define STATUS(name) ORDER__ORDER_STATUS__ORDER_STATUS_##name
#define N_STATUSES (STATUS(REJECTED) + 1)

/*
 * Every pair of event and status. Nothing of ours cancels the delivery of an order that is not
 * paid; but if it happens, stock and money go back, and the order must not be placed any more.
 */
static const Order__OrderStatus after[ORDER_N_EVENTS][N_STATUSES] = {
    [ORDER_DELIVERY_STARTED] =
        {
            [STATUS(RECEIVED)] = STATUS(RECEIVED),
            [STATUS(PAYMENT_PENDING)] = STATUS(PAYMENT_PENDING),
            [STATUS(PLACED)] = STATUS(SHIPPED),
            [STATUS(SHIPPED)] = STATUS(SHIPPED),
            [STATUS(CANCELLED)] = STATUS(CANCELLED),
            [STATUS(REJECTED)] = STATUS(REJECTED),
        },
    [ORDER_DELIVERY_CANCELLED] =
        {
            [STATUS(RECEIVED)] = STATUS(REJECTED),
            [STATUS(PAYMENT_PENDING)] = STATUS(REJECTED),
            [STATUS(PLACED)] = STATUS(CANCELLED),
            [STATUS(SHIPPED)] = STATUS(CANCELLED),
            [STATUS(CANCELLED)] = STATUS(CANCELLED),
            [STATUS(REJECTED)] = STATUS(REJECTED),
        },
};

Order__OrderStatus order_after(enum order_event event, Order__OrderStatus status)
{
    if ((size_t)status >= N_STATUSES) {
        return status; /* written by a newer version */
    }
    return after[event][status];
}

Order__Order *order_describe(struct mesh_ctx *ctx, const struct order *order)
{
    Order__Order *message = mesh_alloc(ctx, sizeof(*message));

    order__order__init(message);
    message->order_id = order->order_id;
    message->customer_id = order->customer_id;
    message->product_code = order->product_code;
    message->size = order->size;
    message->quantity = order->quantity;
    message->status = order->status;
    message->total_krw = order->total_krw;
    if (order->payment_id != NULL) {
        message->payment_id = order->payment_id;
    }
    message->reject_reason = order->reject_reason;
    if (order->pay_before_us != 0) {
        message->pay_before = mesh_timestamp(ctx, order->pay_before_us);
    }
    message->create_time = mesh_timestamp(ctx, order->created_us);
    message->update_time = mesh_timestamp(ctx, order->updated_us);
    return message;
}

void order_describe_placed(const struct order *order, Order__OrderPlaced *ret_event)
{
    order__order_placed__init(ret_event);
    ret_event->order_id = order->order_id;
    ret_event->customer_id = order->customer_id;
    ret_event->product_code = order->product_code;
    ret_event->size = order->size;
    ret_event->quantity = order->quantity;
    ret_event->total_krw = order->total_krw;
    ret_event->payment_id = order->payment_id;
    ret_event->version = order->version;
}

void order_describe_pending(struct mesh_ctx *ctx, const struct order *order,
                            Order__OrderPaymentPending *ret_event)
{
    order__order_payment_pending__init(ret_event);
    ret_event->order_id = order->order_id;
    ret_event->customer_id = order->customer_id;
    ret_event->product_code = order->product_code;
    ret_event->size = order->size;
    ret_event->quantity = order->quantity;
    ret_event->total_krw = order->total_krw;
    ret_event->pay_before = mesh_timestamp(ctx, order->pay_before_us);
    ret_event->version = order->version;
}

void order_describe_rejected(const struct order *order, Order__OrderRejected *ret_event)
{
    order__order_rejected__init(ret_event);
    ret_event->order_id = order->order_id;
    ret_event->reason = order->reject_reason;
    ret_event->payment_asked = order->payment_asked;
    ret_event->version = order->version;
}

void order_describe_cancelled(const struct order *order, Order__OrderCancelled *ret_event)
{
    order__order_cancelled__init(ret_event);
    ret_event->order_id = order->order_id;
    ret_event->version = order->version;
}

MESH_STATUS order_fail_rejected(struct mesh_ctx *ctx, const struct order *order)
{
    return mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, order->reject_reason,
                            "order %s was rejected: %s", order->order_id, order->reject_reason);
}

MESH_STATUS order_fail_unknown(struct mesh_ctx *ctx, const char *order_id)
{
    return mesh_fail_resource(ctx, MESH_NOT_FOUND, "order", order_id, "order %s does not exist",
                              order_id);
}
