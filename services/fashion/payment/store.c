/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "mesh/id.h"
#include "payment_sql.h"

/* The columns of every statement that reads payments. */
enum column {
    COLUMN_PAYMENT_ID,
    COLUMN_ORDER_ID,
    COLUMN_STATUS,
    COLUMN_AMOUNT_KRW,
    COLUMN_VERSION,
    COLUMN_CREATED_AT,
    COLUMN_UPDATED_AT,
};

static struct payment *read_one(struct mesh_ctx *ctx, const struct mesh_rows *rows)
{
    struct payment *payment;

    if (mesh_rows_count(rows) == 0) {
        return NULL;
    }
    payment = mesh_alloc(ctx, sizeof(*payment));
    payment->payment_id = mesh_row_uuid(rows, 0, COLUMN_PAYMENT_ID);
    payment->order_id = mesh_row_uuid(rows, 0, COLUMN_ORDER_ID);
    payment->status = (Payment__PaymentStatus)mesh_row_int64(rows, 0, COLUMN_STATUS);
    payment->amount_krw = mesh_row_int64(rows, 0, COLUMN_AMOUNT_KRW);
    payment->version = mesh_row_int64(rows, 0, COLUMN_VERSION);
    payment->created_us = mesh_row_time(rows, 0, COLUMN_CREATED_AT);
    payment->updated_us = mesh_row_time(rows, 0, COLUMN_UPDATED_AT);
    return payment;
}

MESH_STATUS store_insert_payment(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                 const Payment__PayRequest *request, Payment__PaymentStatus status,
                                 struct payment **ret_payment)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &sql_insert_payment,
                           MESH_ARGS(mesh_uuid(mesh_new_id(ctx)), mesh_uuid(request->order_id),
                                     mesh_int64(status), mesh_int64(request->amount_krw)),
                           &rows));
    *ret_payment = read_one(ctx, rows);
    return MESH_OK;
}

static MESH_STATUS get_one(struct mesh_ctx *ctx, struct mesh_db *db, const struct mesh_sql *sql,
                           const char *id, struct payment **ret_payment)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, db, sql, MESH_ARGS(mesh_uuid(id)), &rows));
    *ret_payment = read_one(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_get_payment(struct mesh_ctx *ctx, struct mesh_db *db, const char *payment_id,
                              struct payment **ret_payment)
{
    return get_one(ctx, db, &sql_select_payment, payment_id, ret_payment);
}

MESH_STATUS store_get_payment_of_order(struct mesh_ctx *ctx, struct mesh_db *db,
                                       const char *order_id, struct payment **ret_payment)
{
    return get_one(ctx, db, &sql_select_payment_of_order, order_id, ret_payment);
}

static MESH_STATUS read_in_tx(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct mesh_sql *sql,
                              const char *order_id, struct payment **ret_payment)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, sql, MESH_ARGS(mesh_uuid(order_id)), &rows));
    *ret_payment = read_one(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_read_payment_of_order(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                        const char *order_id, struct payment **ret_payment)
{
    return read_in_tx(ctx, tx, &sql_select_payment_of_order, order_id, ret_payment);
}

MESH_STATUS store_lock_payment_of_order(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                        const char *order_id, struct payment **ret_payment)
{
    return read_in_tx(ctx, tx, &sql_lock_payment_of_order, order_id, ret_payment);
}

MESH_STATUS store_insert_tombstone(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *order_id)
{
    return mesh_tx_exec(ctx, tx, &sql_insert_tombstone,
                        MESH_ARGS(mesh_uuid(mesh_new_id(ctx)), mesh_uuid(order_id)));
}

MESH_STATUS store_cancel_payment(struct mesh_ctx *ctx, struct mesh_tx *tx, struct payment *payment)
{
    MESH_TRY(mesh_tx_exec(ctx, tx, &sql_cancel_payment, MESH_ARGS(mesh_uuid(payment->payment_id))));
    payment->status = PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_CANCELLED;
    payment->version++; /* as the statement does: the row is locked */
    return MESH_OK;
}
