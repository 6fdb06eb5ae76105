/* SPDX-License-Identifier: Apache-2.0 */
#include "product.h"

#include "mesh/time.h"

#include <inttypes.h>

const char *product_etag(struct mesh_ctx *ctx, const struct product *product)
{
    return mesh_printf(ctx, "%" PRId64, product->version);
}

Product__Product *product_describe(struct mesh_ctx *ctx, const struct product *product)
{
    Product__Product *message = mesh_alloc(ctx, sizeof(*message));

    product__product__init(message);
    message->product_id = product->product_id;
    message->code = product->code;
    message->name = product->name;
    message->size = product->size;
    message->unit_price_krw = product->unit_price_krw;
    message->stock = product->stock;
    message->etag = product_etag(ctx, product);
    message->create_time = mesh_timestamp(ctx, product->created_us);
    message->update_time = mesh_timestamp(ctx, product->updated_us);
    return message;
}

void product_describe_registered(const struct product *product,
                                 Product__ProductRegistered *ret_event)
{
    product__product_registered__init(ret_event);
    ret_event->product_id = product->product_id;
    ret_event->code = product->code;
    ret_event->name = product->name;
    ret_event->size = product->size;
    ret_event->unit_price_krw = product->unit_price_krw;
    ret_event->stock = product->stock;
    ret_event->version = product->version;
}

MESH_STATUS product_fail_unknown(struct mesh_ctx *ctx, const char *product_id)
{
    return mesh_fail_resource(ctx, MESH_NOT_FOUND, "product", product_id,
                              "product %s does not exist", product_id);
}

MESH_STATUS product_fail_unknown_sku(struct mesh_ctx *ctx, const Product__Sku *sku)
{
    return mesh_fail_reason(ctx, MESH_NOT_FOUND, "PRODUCT_NOT_FOUND",
                            "there is no product %s in size %s", sku->code, sku->size);
}

MESH_STATUS product_fail_stock(struct mesh_ctx *ctx, const struct product *product,
                               int64_t stock_delta)
{
    return mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, "INSUFFICIENT_STOCK",
                            "product %s has a stock of %" PRId64 ", too little for %" PRId64,
                            product->product_id, product->stock, stock_delta);
}
