/* SPDX-License-Identifier: Apache-2.0 */
#include "inbox.h"

#include "store.h"

static MESH_STATUS give_back(struct mesh_ctx *ctx, struct product_service *service,
                             struct mesh_tx *tx, struct reservation *reservation)
{
    Product__StockReleased event;

    MESH_TRY(store_release(ctx, tx, reservation));
    if (!service->stock_events) {
        return store_return_stock(ctx, tx, reservation);
    }
    MESH_TRY(store_return_stock_counted(ctx, tx, reservation));
    reservation_describe_released(reservation, &event);
    return product_emit_stock_released(ctx, tx, &event);
}

MESH_STATUS inbox_apply(struct mesh_ctx *ctx, struct product_service *service, struct mesh_tx *tx,
                        enum reservation_event event, const char *order_id)
{
    struct reservation *reservation;

    /* Without a look first: a ReserveStock under way is waited for, a later one finds this row. */
    if (reservation_after(event, RESERVATION_NONE) == RESERVATION_RELEASED) {
        MESH_TRY(store_insert_tombstone(ctx, tx, order_id));
    }
    MESH_TRY(store_lock_reservation(ctx, tx, order_id, &reservation));
    if (reservation == NULL || reservation_after(event, reservation->state) == reservation->state) {
        return MESH_OK;
    }
    return give_back(ctx, service, tx, reservation);
}
