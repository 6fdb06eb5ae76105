/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the store that holds reservations. */
#include "product_sql.h"
#include "store.h"

/* The columns of every statement that reads reservations; only reserve_stock.sql has the last. */
enum column {
    COLUMN_ORDER_ID,
    COLUMN_PRODUCT_ID,
    COLUMN_CODE,
    COLUMN_SIZE,
    COLUMN_QUANTITY,
    COLUMN_EXPECTED_TOTAL_KRW,
    COLUMN_UNIT_PRICE_KRW,
    COLUMN_TOTAL_KRW,
    COLUMN_STATE,
    COLUMN_REASON,
    COLUMN_STOCK,
};

static struct reservation *read_one_reservation(struct mesh_ctx *ctx, const struct mesh_rows *rows)
{
    struct reservation *reservation;

    if (mesh_rows_count(rows) == 0) {
        return NULL;
    }
    reservation = mesh_alloc(ctx, sizeof(*reservation));
    reservation->order_id = mesh_row_uuid(rows, 0, COLUMN_ORDER_ID);
    reservation->product_id = mesh_row_uuid(rows, 0, COLUMN_PRODUCT_ID);
    reservation->code = mesh_row_text(rows, 0, COLUMN_CODE);
    reservation->size = mesh_row_text(rows, 0, COLUMN_SIZE);
    reservation->quantity = mesh_row_int64(rows, 0, COLUMN_QUANTITY);
    reservation->has_expected_total = !mesh_row_is_null(rows, 0, COLUMN_EXPECTED_TOTAL_KRW);
    reservation->expected_total_krw = mesh_row_int64(rows, 0, COLUMN_EXPECTED_TOTAL_KRW);
    reservation->unit_price_krw = mesh_row_int64(rows, 0, COLUMN_UNIT_PRICE_KRW);
    reservation->total_krw = mesh_row_int64(rows, 0, COLUMN_TOTAL_KRW);
    reservation->state = (enum reservation_state)mesh_row_int64(rows, 0, COLUMN_STATE);
    reservation->reason = mesh_row_text(rows, 0, COLUMN_REASON);
    return reservation;
}

/* The arguments of reserve_stock.sql. */
#define RESERVE_ARGS(request)                                                                      \
    MESH_ARGS(mesh_uuid((request)->order_id), mesh_text((request)->sku->code),                     \
              mesh_text((request)->sku->size), mesh_int64((request)->quantity),                    \
              product__reserve_stock_request_has_expected_total_krw(request)                       \
                  ? mesh_int64((request)->expected_total_krw)                                      \
                  : mesh_null())

static struct reservation *read_outcome(struct mesh_ctx *ctx, const struct mesh_rows *rows)
{
    struct reservation *reservation = read_one_reservation(ctx, rows);

    if (reservation != NULL) {
        reservation->stock = mesh_row_int64(rows, 0, COLUMN_STOCK);
    }
    return reservation;
}

MESH_STATUS store_reserve(struct mesh_ctx *ctx, struct mesh_tx *tx,
                          const Product__ReserveStockRequest *request,
                          struct reservation **ret_reservation)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &sql_reserve_stock, RESERVE_ARGS(request), &rows));
    *ret_reservation = read_outcome(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_reserve_now(struct mesh_ctx *ctx, struct mesh_db *db,
                              const Product__ReserveStockRequest *request,
                              struct reservation **ret_reservation)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, db, &sql_reserve_stock, RESERVE_ARGS(request), &rows));
    *ret_reservation = read_outcome(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_get_reservation(struct mesh_ctx *ctx, struct mesh_db *db, const char *order_id,
                                  struct reservation **ret_reservation)
{
    struct mesh_rows *rows;

    MESH_TRY(
        mesh_db_query(ctx, db, &sql_select_reservation, MESH_ARGS(mesh_uuid(order_id)), &rows));
    *ret_reservation = read_one_reservation(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_lock_reservation(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *order_id,
                                   struct reservation **ret_reservation)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &sql_lock_reservation, MESH_ARGS(mesh_uuid(order_id)), &rows));
    *ret_reservation = read_one_reservation(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_insert_tombstone(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *order_id)
{
    return mesh_tx_exec(ctx, tx, &sql_insert_tombstone, MESH_ARGS(mesh_uuid(order_id)));
}

MESH_STATUS store_release(struct mesh_ctx *ctx, struct mesh_tx *tx,
                          const struct reservation *reservation)
{
    return mesh_tx_exec(ctx, tx, &sql_release_reservation,
                        MESH_ARGS(mesh_uuid(reservation->order_id)));
}

MESH_STATUS store_return_stock(struct mesh_ctx *ctx, struct mesh_tx *tx,
                               const struct reservation *reservation)
{
    return mesh_tx_exec(
        ctx, tx, &sql_return_stock,
        MESH_ARGS(mesh_uuid(reservation->product_id), mesh_int64(reservation->quantity)));
}

MESH_STATUS store_return_stock_counted(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                       struct reservation *reservation)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(
        ctx, tx, &sql_return_stock,
        MESH_ARGS(mesh_uuid(reservation->product_id), mesh_int64(reservation->quantity)), &rows));
    reservation->stock = mesh_row_int64(rows, 0, 0);
    return MESH_OK;
}
