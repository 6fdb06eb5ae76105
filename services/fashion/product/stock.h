/* SPDX-License-Identifier: Apache-2.0 */
/* Taking stock of one article for all orders that wait for it, in one transaction. */
#ifndef PRODUCT_STOCK_H
#define PRODUCT_STOCK_H

#include "fashion/product/v1/product.mesh.h"
#include "mesh/batcher.h"

/* What no other sku has; in ctx's memory. */
const char *stock_key(struct mesh_ctx *ctx, const Product__Sku *sku);
/*
 * What the service's batcher runs for the members of one stock_key(): arg is the service, a request
 * a Product__ReserveStockRequest, and a response where its reservation goes (struct reservation *).
 * That stays NULL if nothing was decided: the order has a reservation already, the article is
 * unknown, or it was changed at the same moment. As a whole MESH_ALREADY_EXISTS: another try for
 * one of the orders was quicker.
 */
MESH_STATUS stock_reserve(struct mesh_ctx *ctx, void *arg, struct mesh_batch_member *members,
                          size_t n);

#endif
