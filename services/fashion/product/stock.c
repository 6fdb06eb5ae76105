/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The article is locked first, and everybody inserts reservations after that and in one order: so
 * neither batches nor what gives stock back can wait for each other in a circle.
 */
#include "stock.h"

#include "service.h"
#include "store.h"

#include <string.h>
#include <strings.h>

const char *stock_key(struct mesh_ctx *ctx, const Product__Sku *sku)
{
    return mesh_printf(ctx, "%zu %s %s", strlen(sku->code), sku->code, sku->size);
}

struct batch {
    struct product_service *service;
    struct mesh_batch_member *members;
    size_t n;
    const Product__ReserveStockRequest *requests[MESH_BATCH_MAX]; /* one for each order */
    size_t n_requests;
    struct reservation_list list; /* what was decided */
};

static const Product__ReserveStockRequest *request_of(const struct mesh_batch_member *member)
{
    return member->request;
}

static bool is_for(const Product__ReserveStockRequest *request, const char *order_id)
{
    return strcasecmp(request->order_id, order_id) == 0;
}

/* Of the requests for one order the first counts; the others get its answer. */
static void find_orders(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        const Product__ReserveStockRequest *request = request_of(&batch->members[i]);
        size_t at = 0;

        while (at < batch->n_requests && !is_for(batch->requests[at], request->order_id)) {
            at++;
        }
        if (at == batch->n_requests) {
            batch->requests[batch->n_requests++] = request;
        }
    }
}

/* Each finds the stock that those before it left. Returns what is taken from it. */
static int64_t decide(const struct reservation_list *list)
{
    int64_t before = list->reservations[0].stock;
    int64_t stock = before;

    for (size_t i = 0; i < list->n; i++) {
        reservation_decide(&list->reservations[i], stock);
        stock = list->reservations[i].stock;
    }
    return before - stock;
}

/* In the name of who asked first; that his time is over does not matter any more. */
static MESH_STATUS tell_one(struct mesh_ctx *ctx, const struct batch *batch, struct mesh_tx *tx,
                            const struct reservation *reservation)
{
    Product__StockReserved event;
    struct mesh_ctx *own;
    enum mesh_status status;
    size_t i = 0;

    while (!is_for(request_of(&batch->members[i]), reservation->order_id)) {
        i++;
    }
    own = mesh_ctx_closing(batch->members[i].ctx);
    reservation_describe_reserved(reservation, &event);
    status = product_emit_stock_reserved(own, tx, &event);
    return status == MESH_OK ? MESH_OK : mesh_fail(ctx, status, "%s", mesh_ctx_error(own));
}

static MESH_STATUS tell(struct mesh_ctx *ctx, const struct batch *batch, struct mesh_tx *tx)
{
    for (size_t i = 0; i < batch->list.n; i++) {
        if (batch->list.reservations[i].state == RESERVATION_RESERVED) {
            MESH_TRY(tell_one(ctx, batch, tx, &batch->list.reservations[i]));
        }
    }
    return MESH_OK;
}

static MESH_STATUS store(struct mesh_ctx *ctx, struct batch *batch, struct mesh_tx *tx)
{
    const struct reservation_list *list = &batch->list;
    struct stock_change change;

    if (list->n == 0) {
        return MESH_OK;
    }
    change.product_id = list->reservations[0].product_id;
    change.quantity = -decide(list);
    MESH_TRY(store_insert_reservations(ctx, tx, list));
    MESH_TRY(store_change_stock(ctx, tx, &(struct stock_changes){&change, 1}));
    return batch->service->stock_events ? tell(ctx, batch, tx) : MESH_OK;
}

static MESH_STATUS reserve_all(struct mesh_ctx *ctx, struct batch *batch)
{
    cleanup_tx struct mesh_tx *tx = NULL;

    MESH_TRY(mesh_tx_begin(ctx, batch->service->db, &tx));
    MESH_TRY(store_lock_article(ctx, tx, batch->requests, batch->n_requests, &batch->list));
    MESH_TRY(store(ctx, batch, tx));
    return mesh_tx_commit(ctx, &tx);
}

/* Costs one round trip and not two. */
static MESH_STATUS reserve_one(struct mesh_ctx *ctx, struct batch *batch)
{
    struct reservation_list *list = &batch->list;

    MESH_TRY(store_reserve(ctx, batch->service->db, batch->requests[0], &list->reservations));
    list->n = list->reservations != NULL;
    return MESH_OK;
}

static void answer(const struct mesh_batch_member *member, const struct reservation_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (is_for(request_of(member), list->reservations[i].order_id)) {
            *(struct reservation **)member->response =
                reservation_copy(member->ctx, &list->reservations[i]);
        }
    }
}

MESH_STATUS stock_reserve(struct mesh_ctx *ctx, void *arg, struct mesh_batch_member *members,
                          size_t n)
{
    struct batch batch = {.service = arg, .members = members, .n = n};

    find_orders(&batch);
    if (batch.n_requests == 1 && !batch.service->stock_events) {
        MESH_TRY(reserve_one(ctx, &batch));
    } else {
        MESH_TRY(reserve_all(ctx, &batch));
    }
    for (size_t i = 0; i < n; i++) {
        answer(&members[i], &batch.list);
    }
    return MESH_OK;
}
