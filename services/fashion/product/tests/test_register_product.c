/* SPDX-License-Identifier: Apache-2.0 */
#include "product_test.h"

TEST(FS_F_1_a_product_is_registered_and_told_once)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__RegisterProductRequest request = registration(ctx, "4000", "S", 100);
    Product__RegisterProductResponse response = PRODUCT__REGISTER_PRODUCT_RESPONSE__INIT;

    CHECK_INT(rpc_register_product(ctx, &service, &request, &response), MESH_OK);
    CHECK(mesh_is_uuid(response.product->product_id));
    CHECK_TEXT(response.product->code, "4000");
    CHECK_TEXT(response.product->size, "S");
    CHECK_TEXT(response.product->name, "Shirt");
    CHECK_INT(response.product->unit_price_krw, 50000);
    CHECK_INT(response.product->stock, 100);
    CHECK(response.product->etag[0] != '\0');
    CHECK(response.product->create_time->seconds > 1600000000);
    CHECK_INT(stock_of("4000"), 100);
    CHECK_INT(fixture_events("ProductRegistered", response.product->product_id), 1);
}

TEST(a_repeat_answers_the_present_product_and_tells_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__RegisterProductRequest request = registration(ctx, "4001", "S", 100);
    Product__RegisterProductResponse first = PRODUCT__REGISTER_PRODUCT_RESPONSE__INIT;
    Product__RegisterProductResponse second = PRODUCT__REGISTER_PRODUCT_RESPONSE__INIT;

    CHECK_INT(rpc_register_product(ctx, &service, &request, &first), MESH_OK);
    CHECK_INT(reserve(ctx, mesh_new_id(ctx), "4001", 40), MESH_OK);
    CHECK_INT(rpc_register_product(ctx, &service, &request, &second), MESH_OK);
    CHECK_TEXT(second.product->product_id, first.product->product_id);
    CHECK_INT(second.product->stock, 60);
    CHECK_INT(fixture_events("ProductRegistered", first.product->product_id), 1);
}

TEST(the_same_request_id_with_another_body_is_refused)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__RegisterProductRequest request = registration(ctx, "4002", "S", 100);
    Product__RegisterProductResponse response = PRODUCT__REGISTER_PRODUCT_RESPONSE__INIT;

    CHECK_INT(rpc_register_product(ctx, &service, &request, &response), MESH_OK);
    request.unit_price_krw = 1;
    CHECK_INT(rpc_register_product(ctx, &service, &request, &response), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "REQUEST_ID_REUSED");
    request.code = "4002b";
    CHECK_INT(rpc_register_product(ctx, &service, &request, &response), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "REQUEST_ID_REUSED");
    CHECK_INT(stock_of("4002b"), -1);
}

TEST(FS_X_10_code_and_size_together_are_unique)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Product__RegisterProductRequest small = registration(ctx, "4003", "S", 1);
    Product__RegisterProductRequest medium = registration(ctx, "4003", "M", 2);
    Product__RegisterProductRequest again = registration(ctx, "4003", "S", 3);
    Product__RegisterProductResponse response = PRODUCT__REGISTER_PRODUCT_RESPONSE__INIT;

    CHECK_INT(rpc_register_product(ctx, &service, &small, &response), MESH_OK);
    CHECK_INT(rpc_register_product(ctx, &service, &medium, &response), MESH_OK);
    CHECK_INT(rpc_register_product(ctx, &service, &again, &response), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "");
    CHECK_INT(stock_of("4003"), 1);
}

#define N_THREADS 12

struct race {
    Product__RegisterProductRequest request;
    const char *product_ids[N_THREADS];
    enum mesh_status statuses[N_THREADS];
    struct mesh_ctx *ctxs[N_THREADS];
};

static void register_it(void *arg, int i)
{
    struct race *race = arg;
    Product__RegisterProductResponse response = PRODUCT__REGISTER_PRODUCT_RESPONSE__INIT;

    race->ctxs[i] = fixture_ctx();
    race->statuses[i] = rpc_register_product(race->ctxs[i], &service, &race->request, &response);
    race->product_ids[i] = race->statuses[i] == MESH_OK ? response.product->product_id : "";
}

TEST(repeats_at_the_same_time_make_one_product)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    for (int round = 0; round < 10; round++) {
        struct race race = {.request =
                                registration(ctx, mesh_printf(ctx, "race%d", round), "S", 1)};

        fixture_parallel(N_THREADS, register_it, &race);
        for (int i = 0; i < N_THREADS; i++) {
            CHECK_INT(race.statuses[i], MESH_OK);
            CHECK_TEXT(race.product_ids[i], race.product_ids[0]);
        }
        CHECK_INT(fixture_events("ProductRegistered", race.product_ids[0]), 1);
        for (int i = 0; i < N_THREADS; i++) {
            mesh__cleanup_ctx(&race.ctxs[i]);
        }
    }
}

TEST_MAIN(setup, teardown)
