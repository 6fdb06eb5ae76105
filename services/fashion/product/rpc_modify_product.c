/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/idempotency.h"
#include "service.h"
#include "store.h"

#include <string.h>

/* Why nothing was changed. Versions only grow, so an etag that fits now fitted then. */
static MESH_STATUS refuse(struct mesh_ctx *ctx, struct mesh_tx *tx,
                          const Product__ModifyProductRequest *request)
{
    struct product *product;

    MESH_TRY(store_read_product(ctx, tx, request->product_id, &product));
    if (product == NULL) {
        return product_fail_unknown(ctx, request->product_id);
    }
    if (product__modify_product_request_has_etag(request) &&
        strcmp(request->etag, product_etag(ctx, product)) != 0) {
        return mesh_fail_reason(ctx, MESH_ABORTED, "ETAG_MISMATCH",
                                "product %s was changed; read it again", request->product_id);
    }
    return product_fail_stock(ctx, product, request->stock_delta);
}

static MESH_STATUS modify(struct mesh_ctx *ctx, struct mesh_tx *tx,
                          const Product__ModifyProductRequest *request,
                          Product__ModifyProductResponse *response)
{
    struct product *product;

    MESH_TRY(store_modify_product(ctx, tx, request, &product));
    if (product == NULL) {
        return refuse(ctx, tx, request);
    }
    response->product = product_describe(ctx, product);
    return mesh_request_log_finish(ctx, tx, request->request_id, &response->base);
}

MESH_STATUS rpc_modify_product(struct mesh_ctx *ctx, struct product_service *service,
                               const Product__ModifyProductRequest *request,
                               Product__ModifyProductResponse *response)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    bool seen;

    MESH_TRY(mesh_tx_begin(ctx, service->db, &tx));
    MESH_TRY(mesh_request_log_begin(ctx, tx, request->request_id, &request->base, &response->base,
                                    &seen));
    if (!seen) {
        MESH_TRY(modify(ctx, tx, request, response));
    }
    return mesh_tx_commit(ctx, &tx);
}
