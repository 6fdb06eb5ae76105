/* SPDX-License-Identifier: Apache-2.0 */
#include "product_test.h"

static Product__ModifyProductRequest change_of(struct mesh_ctx *ctx, const char *product_id,
                                               int64_t stock_delta)
{
    Product__ModifyProductRequest request;

    product__modify_product_request__init(&request);
    request.request_id = mesh_new_id(ctx);
    request.product_id = product_id;
    request.stock_delta = stock_delta;
    return request;
}

static void set_etag(Product__ModifyProductRequest *request, const char *etag)
{
    request->_etag_case = PRODUCT__MODIFY_PRODUCT_REQUEST___ETAG_ETAG;
    request->etag = etag;
}

TEST(only_what_is_set_is_changed)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *product_id = given_product(ctx, "5000", 10);
    Product__ModifyProductRequest request = change_of(ctx, product_id, 5);
    Product__ModifyProductResponse response = PRODUCT__MODIFY_PRODUCT_RESPONSE__INIT;

    CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_OK);
    CHECK_TEXT(response.product->name, "Shirt");
    CHECK_INT(response.product->unit_price_krw, 50000);
    CHECK_INT(response.product->stock, 15);

    request = change_of(ctx, product_id, 0);
    request._name_case = PRODUCT__MODIFY_PRODUCT_REQUEST___NAME_NAME;
    request.name = "Linen shirt";
    request._unit_price_krw_case = PRODUCT__MODIFY_PRODUCT_REQUEST___UNIT_PRICE_KRW_UNIT_PRICE_KRW;
    request.unit_price_krw = 60000;
    CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_OK);
    CHECK_TEXT(response.product->name, "Linen shirt");
    CHECK_INT(response.product->unit_price_krw, 60000);
    CHECK_INT(response.product->stock, 15);
}

TEST(a_repeat_changes_the_stock_once_and_gets_the_same_answer)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__ModifyProductRequest request = change_of(ctx, given_product(ctx, "5001", 10), 5);
    Product__ModifyProductResponse first = PRODUCT__MODIFY_PRODUCT_RESPONSE__INIT;
    Product__ModifyProductResponse second = PRODUCT__MODIFY_PRODUCT_RESPONSE__INIT;

    CHECK_INT(rpc_modify_product(ctx, &service, &request, &first), MESH_OK);
    CHECK_INT(rpc_modify_product(ctx, &service, &request, &second), MESH_OK);
    CHECK_INT(second.product->stock, 15);
    CHECK_TEXT(second.product->etag, first.product->etag);
    CHECK_INT(stock_of("5001"), 15);
}

TEST(the_same_request_id_with_another_body_is_refused)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__ModifyProductRequest request = change_of(ctx, given_product(ctx, "5002", 10), 5);
    Product__ModifyProductResponse response = PRODUCT__MODIFY_PRODUCT_RESPONSE__INIT;

    CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_OK);
    request.stock_delta = 6;
    CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "REQUEST_ID_REUSED");
    CHECK_INT(stock_of("5002"), 15);
}

TEST(the_stock_never_becomes_negative)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__ModifyProductRequest request = change_of(ctx, given_product(ctx, "5003", 10), -11);
    Product__ModifyProductResponse response = PRODUCT__MODIFY_PRODUCT_RESPONSE__INIT;

    CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "INSUFFICIENT_STOCK");
    CHECK_INT(stock_of("5003"), 10);
    request.request_id = mesh_new_id(ctx);
    request.stock_delta = -10;
    CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_OK);
    CHECK_INT(response.product->stock, 0);
}

TEST(a_refused_change_may_be_repeated_once_it_is_possible)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *product_id = given_product(ctx, "5004", 0);
    Product__ModifyProductRequest less = change_of(ctx, product_id, -1);
    Product__ModifyProductRequest more = change_of(ctx, product_id, 1);
    Product__ModifyProductResponse response = PRODUCT__MODIFY_PRODUCT_RESPONSE__INIT;

    CHECK_INT(rpc_modify_product(ctx, &service, &less, &response), MESH_FAILED_PRECONDITION);
    CHECK_INT(rpc_modify_product(ctx, &service, &more, &response), MESH_OK);
    CHECK_INT(rpc_modify_product(ctx, &service, &less, &response), MESH_OK);
    CHECK_INT(stock_of("5004"), 0);
}

TEST(an_old_etag_changes_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *product_id = given_product(ctx, "5005", 10);
    Product__ModifyProductRequest request = change_of(ctx, product_id, 1);
    Product__ModifyProductResponse response = PRODUCT__MODIFY_PRODUCT_RESPONSE__INIT;
    const char *etag;

    CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_OK);
    etag = response.product->etag;

    request = change_of(ctx, product_id, 1);
    set_etag(&request, etag);
    CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_OK);
    CHECK(strcmp(response.product->etag, etag) != 0);

    request.request_id = mesh_new_id(ctx);
    CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_ABORTED);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "ETAG_MISMATCH");
    CHECK_INT(stock_of("5005"), 12);
}

TEST(a_sale_changes_the_etag)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__ModifyProductRequest request = change_of(ctx, given_product(ctx, "5006", 10), 0);
    Product__ModifyProductResponse response = PRODUCT__MODIFY_PRODUCT_RESPONSE__INIT;

    CHECK_INT(reserve(ctx, mesh_new_id(ctx), "5006", 1), MESH_OK);
    set_etag(&request, "1");
    CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_ABORTED);
}

TEST(an_unknown_product_is_not_found)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__ModifyProductRequest request = change_of(ctx, mesh_new_id(ctx), 1);
    Product__ModifyProductResponse response = PRODUCT__MODIFY_PRODUCT_RESPONSE__INIT;

    set_etag(&request, "1");
    CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_NOT_FOUND);
}

#define N_THREADS 16

static void add_one(void *arg, int i __attribute__((unused)))
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__ModifyProductRequest request = change_of(ctx, arg, 1);
    Product__ModifyProductResponse response = PRODUCT__MODIFY_PRODUCT_RESPONSE__INIT;

    for (int repeat = 0; repeat < 3; repeat++) {
        CHECK_INT(rpc_modify_product(ctx, &service, &request, &response), MESH_OK);
    }
}

TEST(changes_at_the_same_time_all_count_once)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *product_id = given_product(ctx, "5007", 0);
    char id[MESH_UUID_SIZE];

    memcpy(id, product_id, sizeof(id));
    fixture_parallel(N_THREADS, add_one, id);
    CHECK_INT(stock_of("5007"), N_THREADS);
}

TEST_MAIN(setup, teardown)
