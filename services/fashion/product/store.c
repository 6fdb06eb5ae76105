/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "mesh/id.h"
#include "mesh/idempotency.h"
#include "product_sql.h"

/* The columns of every statement that reads products. */
enum column {
    COLUMN_PRODUCT_ID,
    COLUMN_CODE,
    COLUMN_SIZE,
    COLUMN_NAME,
    COLUMN_UNIT_PRICE_KRW,
    COLUMN_STOCK,
    COLUMN_VERSION,
    COLUMN_CREATED_AT,
    COLUMN_UPDATED_AT,
};

static struct mesh_arg optional_int64(bool has, int64_t number)
{
    return has ? mesh_int64(number) : mesh_null();
}

static void read_product(const struct mesh_rows *rows, int64_t row, struct product *ret_product)
{
    ret_product->product_id = mesh_row_uuid(rows, row, COLUMN_PRODUCT_ID);
    ret_product->code = mesh_row_text(rows, row, COLUMN_CODE);
    ret_product->size = mesh_row_text(rows, row, COLUMN_SIZE);
    ret_product->name = mesh_row_text(rows, row, COLUMN_NAME);
    ret_product->unit_price_krw = mesh_row_int64(rows, row, COLUMN_UNIT_PRICE_KRW);
    ret_product->stock = mesh_row_int64(rows, row, COLUMN_STOCK);
    ret_product->version = mesh_row_int64(rows, row, COLUMN_VERSION);
    ret_product->created_us = mesh_row_time(rows, row, COLUMN_CREATED_AT);
    ret_product->updated_us = mesh_row_time(rows, row, COLUMN_UPDATED_AT);
}

static void read_products(struct mesh_ctx *ctx, const struct mesh_rows *rows,
                          struct product_list *ret_list)
{
    int64_t n = mesh_rows_count(rows);

    ret_list->n = (size_t)n;
    ret_list->products = mesh_alloc(ctx, (size_t)n * sizeof(struct product));
    for (int64_t i = 0; i < n; i++) {
        read_product(rows, i, &ret_list->products[i]);
    }
}

static struct product *read_one_product(struct mesh_ctx *ctx, const struct mesh_rows *rows)
{
    struct product_list list;

    read_products(ctx, rows, &list);
    return list.n == 0 ? NULL : &list.products[0];
}

MESH_STATUS store_insert_product(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                 const Product__RegisterProductRequest *request,
                                 struct product **ret_product)
{
    uint8_t digest[MESH_DIGEST_SIZE];
    struct mesh_rows *rows;

    mesh_request_digest(ctx, &request->base, digest);
    MESH_TRY(
        mesh_tx_query(ctx, tx, &sql_insert_product,
                      MESH_ARGS(mesh_uuid(mesh_new_id(ctx)), mesh_uuid(request->request_id),
                                mesh_bytes(digest, sizeof(digest)), mesh_text(request->code),
                                mesh_text(request->size), mesh_text(request->name),
                                mesh_int64(request->unit_price_krw), mesh_int64(request->stock)),
                      &rows));
    *ret_product = read_one_product(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_get_rival(struct mesh_ctx *ctx, struct mesh_tx *tx,
                            const Product__RegisterProductRequest *request, struct rival *ret_rival)
{
    uint8_t digest[MESH_DIGEST_SIZE];
    struct mesh_rows *rows;

    mesh_request_digest(ctx, &request->base, digest);
    MESH_TRY(
        mesh_tx_query(ctx, tx, &sql_select_rival_product,
                      MESH_ARGS(mesh_uuid(request->request_id), mesh_bytes(digest, sizeof(digest)),
                                mesh_text(request->code), mesh_text(request->size)),
                      &rows));
    if (mesh_rows_count(rows) == 0) {
        return mesh_fail(ctx, MESH_INTERNAL, "request %s conflicts with no product",
                         request->request_id);
    }
    ret_rival->product_id = mesh_row_uuid(rows, 0, 0);
    ret_rival->same_request = mesh_row_bool(rows, 0, 1);
    ret_rival->same_body = mesh_row_bool(rows, 0, 2);
    return MESH_OK;
}

MESH_STATUS store_get_product(struct mesh_ctx *ctx, struct mesh_db *db, const char *product_id,
                              struct product **ret_product)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, db, &sql_select_product, MESH_ARGS(mesh_uuid(product_id)), &rows));
    *ret_product = read_one_product(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_get_product_of_sku(struct mesh_ctx *ctx, struct mesh_db *db,
                                     const Product__Sku *sku, struct product **ret_product)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, db, &sql_select_product_of_sku,
                           MESH_ARGS(mesh_text(sku->code), mesh_text(sku->size)), &rows));
    *ret_product = read_one_product(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_read_product(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *product_id,
                               struct product **ret_product)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &sql_select_product, MESH_ARGS(mesh_uuid(product_id)), &rows));
    *ret_product = read_one_product(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_list_products(struct mesh_ctx *ctx, struct mesh_db *db,
                                const struct mesh_page *page, struct product_list *ret_list)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, db, &sql_list_products,
                           MESH_ARGS(mesh_uuid(page->before), mesh_int64(page->size + 1)), &rows));
    read_products(ctx, rows, ret_list);
    return MESH_OK;
}

MESH_STATUS store_modify_product(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                 const Product__ModifyProductRequest *request,
                                 struct product **ret_product)
{
    bool has_name = product__modify_product_request_has_name(request);
    bool has_price = product__modify_product_request_has_unit_price_krw(request);
    bool has_etag = product__modify_product_request_has_etag(request);
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(
        ctx, tx, &sql_modify_product,
        MESH_ARGS(mesh_uuid(request->product_id), mesh_text(has_name ? request->name : NULL),
                  optional_int64(has_price, request->unit_price_krw),
                  mesh_int64(request->stock_delta), mesh_text(has_etag ? request->etag : NULL)),
        &rows));
    *ret_product = read_one_product(ctx, rows);
    return MESH_OK;
}
