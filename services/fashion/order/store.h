/* SPDX-License-Identifier: Apache-2.0 */
/* Orders in Postgres. Orders that are read live in ctx's memory. */
#ifndef ORDER_STORE_H
#define ORDER_STORE_H

#include "mesh/db.h"
#include "mesh/page.h"
#include "order.h"

struct order_service;

struct order_list {
    struct order *orders;
    size_t n;
};

/* Stores a new order as RECEIVED; *ret_inserted is false, and order unchanged, if its request id is
 * known. */
MESH_STATUS store_insert_order(struct mesh_ctx *ctx, const struct order_service *service,
                               struct order *order, bool *ret_inserted);
/* *ret_order is NULL if there is none. */
MESH_STATUS store_get_order(struct mesh_ctx *ctx, const struct order_service *service,
                            const char *order_id, struct order **ret_order);
MESH_STATUS store_get_order_of_request(struct mesh_ctx *ctx, const struct order_service *service,
                                       const char *request_id, struct order **ret_order);
/* The same as store_get_order() as part of tx. */
MESH_STATUS store_read_order(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *order_id,
                             struct order **ret_order);
/* Keeps the sweep away from a RECEIVED order that somebody goes on with. */
MESH_STATUS store_touch_order(struct mesh_ctx *ctx, const struct order_service *service,
                              const struct order *order);
/* Fixes total_krw and notes that payment may be asked; *ret_done is false if the order is not
 * RECEIVED any more. */
MESH_STATUS store_ask_payment(struct mesh_ctx *ctx, const struct order_service *service,
                              struct order *order, bool *ret_done);

/* What a move writes beside the new status. */
struct order_move {
    Order__OrderStatus to;
    const char *payment_id;    /* NULL: as it was */
    const char *reject_reason; /* NULL: none */
};

/*
 * Compare and set on the status that `order` was read with. *ret_moved is false if somebody else
 * moved it; otherwise order is updated.
 */
MESH_STATUS store_move_order(struct mesh_ctx *ctx, const struct order_service *service,
                             struct mesh_tx *tx, struct order *order, const struct order_move *move,
                             bool *ret_moved);

/* Takes up to `limit` due RECEIVED and PAYMENT_PENDING orders, oldest first, for this replica. */
MESH_STATUS store_claim_due(struct mesh_ctx *ctx, const struct order_service *service,
                            int64_t limit, struct order_list *ret_list);
/* One row more than the page holds, newest first; of one customer unless customer_id is "". */
MESH_STATUS store_list_orders(struct mesh_ctx *ctx, const struct order_service *service,
                              const char *customer_id, const struct mesh_page *page,
                              struct order_list *ret_list);

#endif
