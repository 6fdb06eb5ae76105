/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/idempotency.h"
#include "service.h"
#include "store.h"

/* A repeat gets the product as it is now; anything else that was there before is refused. */
static MESH_STATUS answer_known(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                const Product__RegisterProductRequest *request,
                                struct product **ret_product)
{
    struct rival rival;

    MESH_TRY(store_get_rival(ctx, tx, request, &rival));
    if (!rival.same_request) {
        return mesh_fail_resource(ctx, MESH_ALREADY_EXISTS, "product", rival.product_id,
                                  "product %s in size %s exists already", request->code,
                                  request->size);
    }
    if (!rival.same_body) {
        return mesh_fail_reused(ctx, request->request_id);
    }
    return store_read_product(ctx, tx, rival.product_id, ret_product);
}

MESH_STATUS rpc_register_product(struct mesh_ctx *ctx, struct product_service *service,
                                 const Product__RegisterProductRequest *request,
                                 Product__RegisterProductResponse *response)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    Product__ProductRegistered event;
    struct product *product;

    MESH_TRY(mesh_tx_begin(ctx, service->db, &tx));
    MESH_TRY(store_insert_product(ctx, tx, request, &product));
    if (product == NULL) {
        MESH_TRY(answer_known(ctx, tx, request, &product));
    } else {
        product_describe_registered(product, &event);
        MESH_TRY(product_emit_product_registered(ctx, tx, &event));
    }
    MESH_TRY(mesh_tx_commit(ctx, &tx));
    response->product = product_describe(ctx, product);
    return MESH_OK;
}
