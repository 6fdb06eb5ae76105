/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "delivery_sql.h"
#include "mesh/id.h"

/* The columns of every statement that reads deliveries. */
enum column {
    COLUMN_DELIVERY_ID,
    COLUMN_ORDER_ID,
    COLUMN_STATUS,
    COLUMN_PRODUCT_CODE,
    COLUMN_SIZE,
    COLUMN_QUANTITY,
    COLUMN_ENVIRONMENT,
    COLUMN_VERSION,
    COLUMN_CREATED_AT,
    COLUMN_UPDATED_AT,
};

static void read_delivery(const struct mesh_rows *rows, int64_t row, struct delivery *ret_delivery)
{
    ret_delivery->delivery_id = mesh_row_uuid(rows, row, COLUMN_DELIVERY_ID);
    ret_delivery->order_id = mesh_row_uuid(rows, row, COLUMN_ORDER_ID);
    ret_delivery->status = (Delivery__DeliveryStatus)mesh_row_int64(rows, row, COLUMN_STATUS);
    ret_delivery->product_code = mesh_row_text(rows, row, COLUMN_PRODUCT_CODE);
    ret_delivery->size = mesh_row_text(rows, row, COLUMN_SIZE);
    ret_delivery->quantity = mesh_row_int64(rows, row, COLUMN_QUANTITY);
    ret_delivery->environment = mesh_row_text(rows, row, COLUMN_ENVIRONMENT);
    ret_delivery->version = mesh_row_int64(rows, row, COLUMN_VERSION);
    ret_delivery->created_us = mesh_row_time(rows, row, COLUMN_CREATED_AT);
    ret_delivery->updated_us = mesh_row_time(rows, row, COLUMN_UPDATED_AT);
}

static void read_list(struct mesh_ctx *ctx, const struct mesh_rows *rows,
                      struct delivery_list *ret_list)
{
    int64_t n = mesh_rows_count(rows);

    ret_list->n = (size_t)n;
    ret_list->deliveries = mesh_alloc(ctx, (size_t)n * sizeof(struct delivery));
    for (int64_t i = 0; i < n; i++) {
        read_delivery(rows, i, &ret_list->deliveries[i]);
    }
}

static struct delivery *read_one(struct mesh_ctx *ctx, const struct mesh_rows *rows)
{
    struct delivery_list list;

    read_list(ctx, rows, &list);
    return list.n == 0 ? NULL : &list.deliveries[0];
}

MESH_STATUS store_insert_delivery(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                  const struct delivery *wanted, struct delivery **ret_delivery)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &sql_insert_delivery,
                           MESH_ARGS(mesh_uuid(mesh_new_id(ctx)), mesh_uuid(wanted->order_id),
                                     mesh_int64(wanted->status), mesh_text(wanted->product_code),
                                     mesh_text(wanted->size), mesh_int64(wanted->quantity),
                                     mesh_text(wanted->environment)),
                           &rows));
    *ret_delivery = read_one(ctx, rows);
    return MESH_OK;
}

static MESH_STATUS get_one(struct mesh_ctx *ctx, struct mesh_db *db, const struct mesh_sql *sql,
                           const char *id, struct delivery **ret_delivery)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, db, sql, MESH_ARGS(mesh_uuid(id)), &rows));
    *ret_delivery = read_one(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_get_delivery(struct mesh_ctx *ctx, struct mesh_db *db, const char *delivery_id,
                               struct delivery **ret_delivery)
{
    return get_one(ctx, db, &sql_select_delivery, delivery_id, ret_delivery);
}

MESH_STATUS store_get_delivery_of_order(struct mesh_ctx *ctx, struct mesh_db *db,
                                        const char *order_id, struct delivery **ret_delivery)
{
    return get_one(ctx, db, &sql_select_delivery_of_order, order_id, ret_delivery);
}

MESH_STATUS store_lock_delivery_of_order(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                         const char *order_id, struct delivery **ret_delivery)
{
    struct mesh_rows *rows;

    MESH_TRY(
        mesh_tx_query(ctx, tx, &sql_lock_delivery_of_order, MESH_ARGS(mesh_uuid(order_id)), &rows));
    *ret_delivery = read_one(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_cancel_delivery(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                  struct delivery *delivery)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &sql_cancel_delivery,
                           MESH_ARGS(mesh_uuid(delivery->delivery_id)), &rows));
    delivery->status = DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_CANCELLED;
    delivery->version = mesh_row_int64(rows, 0, 0);
    delivery->updated_us = mesh_row_time(rows, 0, 1);
    return MESH_OK;
}

MESH_STATUS store_list_deliveries(struct mesh_ctx *ctx, struct mesh_db *db,
                                  const struct mesh_page *page, struct delivery_list *ret_list)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, db, &sql_list_deliveries,
                           MESH_ARGS(mesh_uuid(page->before), mesh_int64(page->size + 1)), &rows));
    read_list(ctx, rows, ret_list);
    return MESH_OK;
}
