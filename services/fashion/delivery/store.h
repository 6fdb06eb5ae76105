/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries in Postgres. Deliveries that are read live in ctx's memory. */
#ifndef DELIVERY_STORE_H
#define DELIVERY_STORE_H

#include "delivery.h"
#include "mesh/db.h"
#include "mesh/page.h"

struct delivery_list {
    struct delivery *deliveries;
    size_t n;
};

/* Stores a new delivery under a new id; *ret_delivery is NULL if the order has one already. The id,
 * version and times of `wanted` are not read. */
MESH_STATUS store_insert_delivery(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                  const struct delivery *wanted, struct delivery **ret_delivery);
/* *ret_delivery is NULL if there is none; so it is with the next two. */
MESH_STATUS store_get_delivery(struct mesh_ctx *ctx, struct mesh_db *db, const char *delivery_id,
                               struct delivery **ret_delivery);
MESH_STATUS store_get_delivery_of_order(struct mesh_ctx *ctx, struct mesh_db *db,
                                        const char *order_id, struct delivery **ret_delivery);
/* The same as part of tx, and nobody else may change it before tx ends. */
MESH_STATUS store_lock_delivery_of_order(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                         const char *order_id, struct delivery **ret_delivery);
/* Makes a locked delivery CANCELLED. */
MESH_STATUS store_cancel_delivery(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                  struct delivery *delivery);
/* One row more than the page holds, newest first. */
MESH_STATUS store_list_deliveries(struct mesh_ctx *ctx, struct mesh_db *db,
                                  const struct mesh_page *page, struct delivery_list *ret_list);

#endif
