/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "mesh/id.h"
#include "order_sql.h"
#include "service.h"

#include <string.h>

/* The columns of every statement that reads orders. */
enum column {
    COLUMN_ORDER_ID,
    COLUMN_REQUEST_ID,
    COLUMN_DIGEST,
    COLUMN_CUSTOMER_ID,
    COLUMN_PRODUCT_CODE,
    COLUMN_SIZE,
    COLUMN_QUANTITY,
    COLUMN_STATUS,
    COLUMN_TOTAL_KRW,
    COLUMN_PAYMENT_ASKED,
    COLUMN_PAYMENT_ID,
    COLUMN_REJECT_REASON,
    COLUMN_PAY_BEFORE,
    COLUMN_VERSION,
    COLUMN_CREATED_AT,
    COLUMN_UPDATED_AT,
    COLUMN_TRIES,
    COLUMN_TOO_LATE,
};

static void read_order(const struct mesh_rows *rows, int64_t row, struct order *ret_order)
{
    size_t size = 0;
    const uint8_t *digest = mesh_row_bytes(rows, row, COLUMN_DIGEST, &size);

    if (size == MESH_DIGEST_SIZE) {
        memcpy(ret_order->digest, digest, size);
    }
    ret_order->order_id = mesh_row_uuid(rows, row, COLUMN_ORDER_ID);
    ret_order->request_id = mesh_row_uuid(rows, row, COLUMN_REQUEST_ID);
    ret_order->customer_id = mesh_row_text(rows, row, COLUMN_CUSTOMER_ID);
    ret_order->product_code = mesh_row_text(rows, row, COLUMN_PRODUCT_CODE);
    ret_order->size = mesh_row_text(rows, row, COLUMN_SIZE);
    ret_order->quantity = mesh_row_int64(rows, row, COLUMN_QUANTITY);
    ret_order->status = (Order__OrderStatus)mesh_row_int64(rows, row, COLUMN_STATUS);
    ret_order->total_krw = mesh_row_int64(rows, row, COLUMN_TOTAL_KRW);
    ret_order->payment_asked = mesh_row_bool(rows, row, COLUMN_PAYMENT_ASKED);
    ret_order->payment_id = mesh_row_uuid(rows, row, COLUMN_PAYMENT_ID);
    ret_order->reject_reason = mesh_row_text(rows, row, COLUMN_REJECT_REASON);
    ret_order->pay_before_us = mesh_row_time(rows, row, COLUMN_PAY_BEFORE);
    ret_order->too_late = mesh_row_bool(rows, row, COLUMN_TOO_LATE);
    ret_order->version = mesh_row_int64(rows, row, COLUMN_VERSION);
    ret_order->created_us = mesh_row_time(rows, row, COLUMN_CREATED_AT);
    ret_order->updated_us = mesh_row_time(rows, row, COLUMN_UPDATED_AT);
}

static void read_list(struct mesh_ctx *ctx, const struct mesh_rows *rows,
                      struct order_list *ret_list)
{
    int64_t n = mesh_rows_count(rows);

    ret_list->n = (size_t)n;
    ret_list->orders = mesh_alloc(ctx, (size_t)n * sizeof(struct order));
    for (int64_t i = 0; i < n; i++) {
        read_order(rows, i, &ret_list->orders[i]);
    }
}

static struct order *read_one(struct mesh_ctx *ctx, const struct mesh_rows *rows)
{
    struct order_list list;

    read_list(ctx, rows, &list);
    return list.n == 0 ? NULL : &list.orders[0];
}

MESH_STATUS store_insert_order(struct mesh_ctx *ctx, const struct order_service *service,
                               struct order *order, bool *ret_inserted)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, service->db, &sql_insert_order,
                           MESH_ARGS(mesh_uuid(order->order_id), mesh_uuid(order->request_id),
                                     mesh_bytes(order->digest, MESH_DIGEST_SIZE),
                                     mesh_text(order->customer_id), mesh_text(order->product_code),
                                     mesh_text(order->size), mesh_int64(order->quantity),
                                     mesh_int64(service->received_timeout_ms)),
                           &rows));
    *ret_inserted = mesh_rows_count(rows) == 1;
    if (*ret_inserted) {
        order->status = ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED;
        order->version = mesh_row_int64(rows, 0, 0);
        order->created_us = mesh_row_time(rows, 0, 1);
        order->updated_us = mesh_row_time(rows, 0, 2);
    }
    return MESH_OK;
}

static MESH_STATUS get_one(struct mesh_ctx *ctx, const struct order_service *service,
                           const struct mesh_sql *sql, const char *id, struct order **ret_order)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, service->db, sql, MESH_ARGS(mesh_uuid(id)), &rows));
    *ret_order = read_one(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_get_order(struct mesh_ctx *ctx, const struct order_service *service,
                            const char *order_id, struct order **ret_order)
{
    return get_one(ctx, service, &sql_select_order, order_id, ret_order);
}

MESH_STATUS store_get_order_of_request(struct mesh_ctx *ctx, const struct order_service *service,
                                       const char *request_id, struct order **ret_order)
{
    return get_one(ctx, service, &sql_select_order_of_request, request_id, ret_order);
}

MESH_STATUS store_read_order(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *order_id,
                             struct order **ret_order)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &sql_select_order, MESH_ARGS(mesh_uuid(order_id)), &rows));
    *ret_order = read_one(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_touch_order(struct mesh_ctx *ctx, const struct order_service *service,
                              const struct order *order)
{
    return mesh_db_query(
        ctx, service->db, &sql_touch_order,
        MESH_ARGS(mesh_uuid(order->order_id), mesh_int64(service->received_timeout_ms)), NULL);
}

MESH_STATUS store_ask_payment(struct mesh_ctx *ctx, const struct order_service *service,
                              struct order *order, bool *ret_done)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, service->db, &sql_ask_payment,
                           MESH_ARGS(mesh_uuid(order->order_id), mesh_int64(order->total_krw)),
                           &rows));
    *ret_done = mesh_rows_count(rows) == 1;
    order->payment_asked = order->payment_asked || *ret_done;
    return MESH_OK;
}

MESH_STATUS store_move_order(struct mesh_ctx *ctx, const struct order_service *service,
                             struct mesh_tx *tx, struct order *order, const struct order_move *move,
                             bool *ret_moved)
{
    const char *reason = move->reject_reason == NULL ? "" : move->reject_reason;
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &sql_move_order,
                           MESH_ARGS(mesh_uuid(order->order_id), mesh_int64(order->status),
                                     mesh_int64(move->to), mesh_uuid(move->payment_id),
                                     mesh_text(reason), mesh_int64(service->pay_window_ms),
                                     mesh_int64(service->pay_retry_ms)),
                           &rows));
    *ret_moved = mesh_rows_count(rows) == 1;
    if (*ret_moved) {
        order->status = move->to;
        order->payment_id = move->payment_id == NULL ? order->payment_id : move->payment_id;
        order->reject_reason = reason;
        order->version = mesh_row_int64(rows, 0, 0);
        order->payment_asked = mesh_row_bool(rows, 0, 1);
        order->pay_before_us = mesh_row_time(rows, 0, 2);
        order->updated_us = mesh_row_time(rows, 0, 3);
    }
    return MESH_OK;
}

MESH_STATUS store_claim_due(struct mesh_ctx *ctx, const struct order_service *service,
                            int64_t limit, struct order_list *ret_list)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, service->db, &sql_claim_due_orders,
                           MESH_ARGS(mesh_int64(limit), mesh_int64(service->pay_retry_ms)), &rows));
    read_list(ctx, rows, ret_list);
    return MESH_OK;
}

MESH_STATUS store_list_orders(struct mesh_ctx *ctx, const struct order_service *service,
                              const char *customer_id, const struct mesh_page *page,
                              struct order_list *ret_list)
{
    struct mesh_rows *rows;

    if (customer_id[0] == '\0') {
        MESH_TRY(mesh_db_query(ctx, service->db, &sql_list_orders,
                               MESH_ARGS(mesh_uuid(page->before), mesh_int64(page->size + 1)),
                               &rows));
    } else {
        MESH_TRY(mesh_db_query(
            ctx, service->db, &sql_list_orders_of_customer,
            MESH_ARGS(mesh_uuid(page->before), mesh_int64(page->size + 1), mesh_text(customer_id)),
            &rows));
    }
    read_list(ctx, rows, ret_list);
    return MESH_OK;
}
