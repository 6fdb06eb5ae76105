/* SPDX-License-Identifier: Apache-2.0 */
#include "reservation.h"

#include <stdlib.h>
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

struct reservation *reservation_copy(struct mesh_ctx *ctx, const struct reservation *from)
{
    struct reservation *copy = mesh_alloc(ctx, sizeof(*copy));

    *copy = *from;
    copy->order_id = mesh_strdup(ctx, from->order_id);
    copy->product_id = mesh_strdup(ctx, from->product_id);
    copy->code = mesh_strdup(ctx, from->code);
    copy->size = mesh_strdup(ctx, from->size);
    copy->reason = mesh_strdup(ctx, from->reason);
    return copy;
}

static int compare_product_id(const void *product_id, const void *change)
{
    return strcmp(product_id, ((const struct stock_change *)change)->product_id);
}

struct stock_change *stock_change_of(const struct stock_changes *changes, const char *product_id)
{
    return bsearch(product_id, changes->changes, changes->n, sizeof(*changes->changes),
                   compare_product_id);
}

void reservation_decide(struct reservation *reservation, int64_t stock)
{
    reservation->stock = stock;
    reservation->state = RESERVATION_REFUSED;
    if (reservation->has_expected_total &&
        reservation->expected_total_krw != reservation->total_krw) {
        reservation->reason = "TOTAL_MISMATCH";
    } else if (stock < reservation->quantity) {
        reservation->reason = "INSUFFICIENT_STOCK";
    } else {
        reservation->reason = "";
        reservation->state = RESERVATION_RESERVED;
        reservation->stock = stock - reservation->quantity;
    }
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
