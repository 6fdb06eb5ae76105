/* SPDX-License-Identifier: Apache-2.0 */
/* Registers the sample catalogue with a product service, as any client of it would. */
#include "fashion/product/v1/product.mesh.h"

#include <stdio.h>

/* Fixed request ids: running this again registers nothing twice. */
static const struct {
    const char *request_id;
    const char *code;
    const char *name;
    const char *size;
    int64_t unit_price_krw;
} articles[] = {
    {"0190c2a0-0000-7000-8000-000000000001", "4000", "Shirt", "S", 50000},
    {"0190c2a0-0000-7000-8000-000000000002", "4000", "Shirt", "M", 50000},
    {"0190c2a0-0000-7000-8000-000000000003", "4000", "Shirt", "L", 52000},
    {"0190c2a0-0000-7000-8000-000000000004", "4100", "Jeans", "30", 79000},
    {"0190c2a0-0000-7000-8000-000000000005", "4100", "Jeans", "32", 79000},
    {"0190c2a0-0000-7000-8000-000000000006", "4200", "Raincoat", "M", 149000},
};

static MESH_STATUS register_all(struct mesh_ctx *ctx, struct mesh_client *client)
{
    for (size_t i = 0; i < sizeof(articles) / sizeof(articles[0]); i++) {
        Product__RegisterProductRequest request = PRODUCT__REGISTER_PRODUCT_REQUEST__INIT;
        Product__RegisterProductResponse *response;

        request.request_id = articles[i].request_id;
        request.code = articles[i].code;
        request.name = articles[i].name;
        request.size = articles[i].size;
        request.unit_price_krw = articles[i].unit_price_krw;
        request.stock = 100;
        MESH_TRY(product_register_product(ctx, client, &request, &response));
    }
    return MESH_OK;
}

int main(int argc, char **argv)
{
    cleanup_ctx struct mesh_ctx *ctx = NULL;
    struct mesh_client *client;
    enum mesh_status status;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s HOST:PORT of the product service\n", argv[0]);
        return 2;
    }
    client = mesh_client_new("product", argv[1], 2000);
    ctx = mesh_ctx_background(10000);
    status = register_all(ctx, client);
    if (status != MESH_OK) {
        (void)fprintf(stderr, "%s: %s\n", mesh_status_name(status), mesh_ctx_error(ctx));
    }
    mesh_client_free(client);
    return status == MESH_OK ? 0 : 1;
}
