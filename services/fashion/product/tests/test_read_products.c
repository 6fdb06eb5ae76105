/* SPDX-License-Identifier: Apache-2.0 */
#include "product_test.h"

static Product__GetProductResponse response = PRODUCT__GET_PRODUCT_RESPONSE__INIT;

static enum mesh_status get(struct mesh_ctx *ctx, const char *product_id)
{
    Product__GetProductRequest request = PRODUCT__GET_PRODUCT_REQUEST__INIT;

    request.by_case = PRODUCT__GET_PRODUCT_REQUEST__BY_PRODUCT_ID;
    request.product_id = product_id;
    return rpc_get_product(ctx, &service, &request, &response);
}

static enum mesh_status get_by_sku(struct mesh_ctx *ctx, const char *code, const char *size)
{
    Product__GetProductRequest request = PRODUCT__GET_PRODUCT_REQUEST__INIT;
    Product__Sku sku = PRODUCT__SKU__INIT;

    sku.code = code;
    sku.size = size;
    request.by_case = PRODUCT__GET_PRODUCT_REQUEST__BY_SKU;
    request.sku = &sku;
    return rpc_get_product(ctx, &service, &request, &response);
}

TEST(a_product_is_found_by_its_id_and_by_its_sku)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *product_id = given_product(ctx, "6000", 7);

    CHECK_INT(get(ctx, product_id), MESH_OK);
    CHECK_INT(response.product->stock, 7);
    CHECK_INT(get_by_sku(ctx, "6000", "S"), MESH_OK);
    CHECK_TEXT(response.product->product_id, product_id);
}

TEST(an_unknown_product_is_not_found)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    CHECK_INT(get(ctx, mesh_new_id(ctx)), MESH_NOT_FOUND);
    CHECK_INT(get_by_sku(ctx, "6000", "XXL"), MESH_NOT_FOUND);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "PRODUCT_NOT_FOUND");
}

static Product__ListProductsResponse list(struct mesh_ctx *ctx, int32_t page_size,
                                          const char *page_token)
{
    Product__ListProductsRequest request = PRODUCT__LIST_PRODUCTS_REQUEST__INIT;
    Product__ListProductsResponse page = PRODUCT__LIST_PRODUCTS_RESPONSE__INIT;

    request.page_size = page_size;
    request.page_token = page_token;
    CHECK_INT(rpc_list_products(ctx, &service, &request, &page), MESH_OK);
    return page;
}

TEST(a_list_is_newest_first_and_paged)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__ListProductsResponse page;
    const char *token = "";
    int left = 260;

    CHECK_INT(FIXTURE_INT64("with gone as (delete from products returning 1) select 0::bigint",
                            MESH_NO_ARGS),
              0);
    CHECK_INT(list(ctx, 0, "").n_products, 0);
    for (int i = 0; i < left; i++) {
        given_product(ctx, mesh_printf(ctx, "list%03d", i), 1);
    }
    CHECK_INT(list(ctx, 0, "").n_products, 50);
    CHECK_INT(list(ctx, 1000, "").n_products, 200);
    do {
        page = list(ctx, 100, token);
        for (size_t i = 0; i < page.n_products; i++) {
            CHECK_TEXT(page.products[i]->code, mesh_printf(ctx, "list%03d", --left));
        }
        token = page.next_page_token;
    } while (token[0] != '\0');
    CHECK_INT(left, 0);
}

TEST(a_token_of_nobody_is_refused)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__ListProductsRequest request = PRODUCT__LIST_PRODUCTS_REQUEST__INIT;
    Product__ListProductsResponse page = PRODUCT__LIST_PRODUCTS_RESPONSE__INIT;

    request.page_token = "' or true --";
    CHECK_INT(rpc_list_products(ctx, &service, &request, &page), MESH_INVALID_ARGUMENT);
}

TEST_MAIN(setup, teardown)
