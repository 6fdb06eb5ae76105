/* SPDX-License-Identifier: Apache-2.0 */
/* Payments in Postgres. Payments that are read live in ctx's memory. */
#ifndef PAYMENT_STORE_H
#define PAYMENT_STORE_H

#include "mesh/db.h"
#include "payment.h"

/* Stores the first payment of an order; *ret_payment is NULL if it has one already. */
MESH_STATUS store_insert_payment(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                 const Payment__PayRequest *request, Payment__PaymentStatus status,
                                 struct payment **ret_payment);
/* *ret_payment is NULL if there is none; so it is with the next three. */
MESH_STATUS store_get_payment(struct mesh_ctx *ctx, struct mesh_db *db, const char *payment_id,
                              struct payment **ret_payment);
MESH_STATUS store_get_payment_of_order(struct mesh_ctx *ctx, struct mesh_db *db,
                                       const char *order_id, struct payment **ret_payment);
/* The same as part of tx. */
MESH_STATUS store_read_payment_of_order(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                        const char *order_id, struct payment **ret_payment);
/* The same, and nobody else may change it before tx ends. */
MESH_STATUS store_lock_payment_of_order(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                        const char *order_id, struct payment **ret_payment);
/* A CANCELLED payment of nothing for an order that has none; no effect otherwise. */
MESH_STATUS store_insert_tombstone(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *order_id);
/* Makes a locked payment CANCELLED. */
MESH_STATUS store_cancel_payment(struct mesh_ctx *ctx, struct mesh_tx *tx, struct payment *payment);

#endif
