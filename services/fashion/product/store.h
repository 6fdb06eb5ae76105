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

struct order_ids {
    const char **ids;
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
 * Decides about one order, in a transaction of its own. *ret_reservation is NULL if nothing was
 * decided: the order has a reservation already, the article is unknown, or it was changed at the
 * same moment. MESH_ALREADY_EXISTS: another try for the same order was quicker.
 */
MESH_STATUS store_reserve(struct mesh_ctx *ctx, struct mesh_db *db,
                          const Product__ReserveStockRequest *request,
                          struct reservation **ret_reservation);
/*
 * What is asked of one article for orders that have no reservation yet. Nobody else may change the
 * article before tx ends. The list is empty if it does not exist.
 */
MESH_STATUS store_lock_article(struct mesh_ctx *ctx, struct mesh_tx *tx,
                               const Product__ReserveStockRequest *const *requests, size_t n,
                               struct reservation_list *ret_list);
/* With the commit MESH_ALREADY_EXISTS: another try for one of the orders was quicker. */
MESH_STATUS store_insert_reservations(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                      const struct reservation_list *list);
/* Of locked articles; those whose quantity is 0 stay as they are. */
MESH_STATUS store_change_stock(struct mesh_ctx *ctx, struct mesh_tx *tx,
                               const struct stock_changes *changes);
/* The same, and sets the stock of each that changes. */
MESH_STATUS store_change_stock_counted(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                       struct stock_changes *changes);

/* *ret_reservation is NULL if there is none. */
MESH_STATUS store_get_reservation(struct mesh_ctx *ctx, struct mesh_db *db, const char *order_id,
                                  struct reservation **ret_reservation);
/* Locks the articles that the orders hold stock of: a change of 0 for each, sorted. */
MESH_STATUS store_lock_reserved_articles(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                         const struct order_ids *orders,
                                         struct stock_changes *ret_changes);
/* A RELEASED row for each order that has none; no effect otherwise. */
MESH_STATUS store_insert_tombstones(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                    const struct order_ids *orders);
/* Sorted by order id. Nobody else changes those that hold stock while their article is locked. */
MESH_STATUS store_get_reservations(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                   const struct order_ids *orders,
                                   struct reservation_list *ret_list);
/* RESERVED becomes RELEASED. */
MESH_STATUS store_release(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct order_ids *orders);

#endif
