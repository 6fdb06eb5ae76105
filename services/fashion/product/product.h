/* SPDX-License-Identifier: Apache-2.0 */
/* An article of the catalogue: pure, no SQL, no network, no clock. */
#ifndef PRODUCT_PRODUCT_H
#define PRODUCT_PRODUCT_H

#include "fashion/product/v1/product.mesh.h"
#include "fashion/product/v1/product_events.mesh.h"

struct product {
    const char *product_id;
    const char *code;
    const char *size;
    const char *name;
    int64_t unit_price_krw;
    int64_t stock;
    int64_t version;
    int64_t created_us;
    int64_t updated_us;
};

/* Changes with every change of the article; in ctx's memory. */
const char *product_etag(struct mesh_ctx *ctx, const struct product *product);
/* The public form, in ctx's memory. */
Product__Product *product_describe(struct mesh_ctx *ctx, const struct product *product);
/* The event; strings are borrowed from product. */
void product_describe_registered(const struct product *product,
                                 Product__ProductRegistered *ret_event);

/* MESH_NOT_FOUND: there is no such article. */
MESH_STATUS product_fail_unknown(struct mesh_ctx *ctx, const char *product_id);
MESH_STATUS product_fail_unknown_sku(struct mesh_ctx *ctx, const Product__Sku *sku);
/* MESH_FAILED_PRECONDITION: the stock does not suffice. */
MESH_STATUS product_fail_stock(struct mesh_ctx *ctx, const struct product *product,
                               int64_t stock_delta);

#endif
