/* SPDX-License-Identifier: Apache-2.0 */
#include "reservation.h"

#include <string.h>

#define N_STATES (RESERVATION_RELEASED + 1)

/* Every pair of event and state. */
static const enum reservation_state after[RESERVATION_N_EVENTS][N_STATES] = {
    [RESERVATION_ORDER_REJECTED] =
        {
            [RESERVATION_NONE] = RESERVATION_RELEASED, /* overtook ReserveStock, which finds it */
            [RESERVATION_RESERVED] = RESERVATION_RELEASED,
            [RESERVATION_REFUSED] = RESERVATION_REFUSED,
            [RESERVATION_RELEASED] = RESERVATION_RELEASED,
        },
    [RESERVATION_DELIVERY_CANCELLED] =
        {
            [RESERVATION_NONE] = RESERVATION_RELEASED,
            [RESERVATION_RESERVED] = RESERVATION_RELEASED,
            [RESERVATION_REFUSED] = RESERVATION_REFUSED,
            [RESERVATION_RELEASED] = RESERVATION_RELEASED,
        },
};

enum reservation_state reservation_after(enum reservation_event event, enum reservation_state state)
{
    if ((size_t)state >= N_STATES) {
        return state; /* written by a newer version */
    }
    return after[event][state];
}

static bool same_request(const struct reservation *reservation,
                         const Product__ReserveStockRequest *request)
{
    bool has_expected_total = product__reserve_stock_request_has_expected_total_krw(request);

    return strcmp(reservation->code, request->sku->code) == 0 &&
           strcmp(reservation->size, request->sku->size) == 0 &&
           reservation->quantity == request->quantity &&
           reservation->has_expected_total == has_expected_total &&
           (!has_expected_total || reservation->expected_total_krw == request->expected_total_krw);
}

MESH_STATUS reservation_check(struct mesh_ctx *ctx, const struct reservation *reservation,
                              const Product__ReserveStockRequest *request)
{
    if (reservation->state == RESERVATION_RELEASED) {
        return mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, "RESERVATION_RELEASED",
                                "order %s is over; nothing is reserved for it any more",
                                reservation->order_id);
    }
    if (!same_request(reservation, request)) {
        return mesh_fail_reason(ctx, MESH_ALREADY_EXISTS, "RESERVATION_DIFFERS",
                                "something else was asked for order %s before",
                                reservation->order_id);
    }
    if (reservation->state == RESERVATION_REFUSED) {
        return mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, reservation->reason,
                                "stock for order %s was refused: %s", reservation->order_id,
                                reservation->reason);
    }
    return MESH_OK;
}

void reservation_describe_reserved(const struct reservation *reservation,
                                   Product__StockReserved *ret_event)
{
    product__stock_reserved__init(ret_event);
    ret_event->product_id = reservation->product_id;
    ret_event->order_id = reservation->order_id;
    ret_event->quantity = reservation->quantity;
    ret_event->stock = reservation->stock;
}

void reservation_describe_released(const struct reservation *reservation,
                                   Product__StockReleased *ret_event)
{
    product__stock_released__init(ret_event);
    ret_event->product_id = reservation->product_id;
    ret_event->order_id = reservation->order_id;
    ret_event->quantity = reservation->quantity;
    ret_event->stock = reservation->stock;
}
