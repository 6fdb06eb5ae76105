/* SPDX-License-Identifier: Apache-2.0 */
/* Products and reservations in Postgres. What is read lives in ctx's memory. */
#ifndef PRODUCT_STORE_H
#define PRODUCT_STORE_H

#include "mesh/db.h"
#include "mesh/page.h"
#include "product.h"
#include "reservation.h"

struct product_list {
    struct product *products;
    size_t n;
};

/* The product that keeps another one from being registered. */
struct rival {
    const char *product_id;
    bool
        same_request; /* it was registered under the same request id; if not, it has the same sku */
    bool same_body;
};

/* *ret_product is NULL if the request id, or the code with the size, is known already. */
MESH_STATUS store_insert_product(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                 const Product__RegisterProductRequest *request,
                                 struct product **ret_product);
MESH_STATUS store_get_rival(struct mesh_ctx *ctx, struct mesh_tx *tx,
                            const Product__RegisterProductRequest *request,
                            struct rival *ret_rival);
/* *ret_product is NULL if there is none; so it is with the next. */
MESH_STATUS store_get_product(struct mesh_ctx *ctx, struct mesh_db *db, const char *product_id,
                              struct product **ret_product);
MESH_STATUS store_get_product_of_sku(struct mesh_ctx *ctx, struct mesh_db *db,
                                     const Product__Sku *sku, struct product **ret_product);
/* The same as store_get_product() as part of tx. */
MESH_STATUS store_read_product(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *product_id,
                               struct product **ret_product);
/* One row more than the page holds, newest first. */
MESH_STATUS store_list_products(struct mesh_ctx *ctx, struct mesh_db *db,
                                const struct mesh_page *page, struct product_list *ret_list);
/* *ret_product is NULL, and nothing is changed, if the product is unknown, its etag is another one,
 * or its stock would become negative. */
MESH_STATUS store_modify_product(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                 const Product__ModifyProductRequest *request,
                                 struct product **ret_product);

/*
 * Takes the stock and stores the reservation, or stores the refusal. *ret_reservation is NULL if
 * nothing was decided: the order has a reservation already, the article is unknown, or it was
 * changed at the same moment. MESH_ALREADY_EXISTS: another try for the same order was quicker.
 */
MESH_STATUS store_reserve(struct mesh_ctx *ctx, struct mesh_tx *tx,
                          const Product__ReserveStockRequest *request,
                          struct reservation **ret_reservation);
/* The same as a transaction of its own. */
MESH_STATUS store_reserve_now(struct mesh_ctx *ctx, struct mesh_db *db,
                              const Product__ReserveStockRequest *request,
                              struct reservation **ret_reservation);
/* *ret_reservation is NULL if there is none; so it is with the next. */
MESH_STATUS store_get_reservation(struct mesh_ctx *ctx, struct mesh_db *db, const char *order_id,
                                  struct reservation **ret_reservation);
/* The same as part of tx, and nobody else may change it before tx ends. */
MESH_STATUS store_lock_reservation(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *order_id,
                                   struct reservation **ret_reservation);
/* A RELEASED row for an order that has none; no effect otherwise. */
MESH_STATUS store_insert_tombstone(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *order_id);
/* RESERVED becomes RELEASED. */
MESH_STATUS store_release(struct mesh_ctx *ctx, struct mesh_tx *tx,
                          const struct reservation *reservation);
/* Adds the reserved quantity to the stock again; does not wait for it. */
MESH_STATUS store_return_stock(struct mesh_ctx *ctx, struct mesh_tx *tx,
                               const struct reservation *reservation);
/* The same, and sets reservation->stock. */
MESH_STATUS store_return_stock_counted(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                       struct reservation *reservation);

#endif
