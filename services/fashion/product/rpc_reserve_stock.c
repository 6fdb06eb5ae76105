/* SPDX-License-Identifier: Apache-2.0 */
/* Takes stock for an order, once. Only when nothing was decided does anybody look why. */
#include "service.h"
#include "stock.h"
#include "store.h"

#define TRIES 5
#define RETRY_AFTER_MS 100

/* *ret_reservation is NULL if this try decided nothing. */
static MESH_STATUS reserve(struct mesh_ctx *ctx, struct product_service *service,
                           const Product__ReserveStockRequest *request,
                           struct reservation **ret_reservation)
{
    const char *key = stock_key(ctx, request->sku);
    enum mesh_status status;

    *ret_reservation = NULL;
    status = mesh_batcher_call(ctx, service->reserving, key, request, ret_reservation);
    /* A quicker try for an order of the batch, or a deadlock with strangers: nothing happened. */
    return status == MESH_ALREADY_EXISTS || status == MESH_ABORTED ? MESH_OK : status;
}

static MESH_STATUS find_or_reserve(struct mesh_ctx *ctx, struct product_service *service,
                                   const Product__ReserveStockRequest *request,
                                   struct reservation **ret_reservation)
{
    struct product *product;

    for (int i = 0; i < TRIES; i++) {
        MESH_TRY(reserve(ctx, service, request, ret_reservation));
        if (*ret_reservation == NULL) {
            MESH_TRY(store_get_reservation(ctx, service->db, request->order_id, ret_reservation));
        }
        if (*ret_reservation != NULL) {
            return MESH_OK;
        }
        MESH_TRY(store_get_product_of_sku(ctx, service->db, request->sku, &product));
        if (product == NULL) {
            return product_fail_unknown_sku(ctx, request->sku);
        }
        /* The article changed, or another order of the batch was decided beside: look again. */
    }
    return mesh_fail_retry(ctx, RETRY_AFTER_MS, "too many take product %s in size %s at once",
                           request->sku->code, request->sku->size);
}

MESH_STATUS rpc_reserve_stock(struct mesh_ctx *ctx, struct product_service *service,
                              const Product__ReserveStockRequest *request,
                              Product__ReserveStockResponse *response)
{
    struct reservation *reservation = NULL;

    mesh_ctx_set_correlation_id(ctx, request->order_id);
    MESH_TRY(find_or_reserve(ctx, service, request, &reservation));
    MESH_TRY(reservation_check(ctx, reservation, request));
    response->product_id = reservation->product_id;
    response->unit_price_krw = reservation->unit_price_krw;
    response->total_krw = reservation->total_krw;
    return MESH_OK;
}
