/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the store that holds reservations. */
#include "product_sql.h"
#include "store.h"

/* The columns of every statement that reads reservations. */
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
};

/* Those of lock_article.sql. */
enum article_column {
    ARTICLE_NUMBER,
    ARTICLE_ORDER_ID,
    ARTICLE_PRODUCT_ID,
    ARTICLE_UNIT_PRICE_KRW,
    ARTICLE_STOCK,
};

#define NO_TOTAL (-1) /* in an array, which holds no null */

static struct reservation read_reservation(const struct mesh_rows *rows, int64_t row)
{
    return (struct reservation){
        .order_id = mesh_row_uuid(rows, row, COLUMN_ORDER_ID),
        .product_id = mesh_row_uuid(rows, row, COLUMN_PRODUCT_ID),
        .code = mesh_row_text(rows, row, COLUMN_CODE),
        .size = mesh_row_text(rows, row, COLUMN_SIZE),
        .quantity = mesh_row_int64(rows, row, COLUMN_QUANTITY),
        .has_expected_total = !mesh_row_is_null(rows, row, COLUMN_EXPECTED_TOTAL_KRW),
        .expected_total_krw = mesh_row_int64(rows, row, COLUMN_EXPECTED_TOTAL_KRW),
        .unit_price_krw = mesh_row_int64(rows, row, COLUMN_UNIT_PRICE_KRW),
        .total_krw = mesh_row_int64(rows, row, COLUMN_TOTAL_KRW),
        .state = (enum reservation_state)mesh_row_int64(rows, row, COLUMN_STATE),
        .reason = mesh_row_text(rows, row, COLUMN_REASON),
    };
}

static struct reservation *read_one_reservation(struct mesh_ctx *ctx, const struct mesh_rows *rows)
{
    struct reservation *reservation;

    if (mesh_rows_count(rows) == 0) {
        return NULL;
    }
    reservation = mesh_alloc(ctx, sizeof(*reservation));
    *reservation = read_reservation(rows, 0);
    return reservation;
}

static struct reservation_list new_list(struct mesh_ctx *ctx, const struct mesh_rows *rows)
{
    size_t n = (size_t)mesh_rows_count(rows);

    return (struct reservation_list){mesh_alloc(ctx, n * sizeof(struct reservation)), n};
}

/* What was asked, of an article as it is now. */
static struct reservation read_asked(const struct mesh_rows *rows, int64_t row,
                                     const Product__ReserveStockRequest *request)
{
    int64_t unit_price_krw = mesh_row_int64(rows, row, ARTICLE_UNIT_PRICE_KRW);

    return (struct reservation){
        .order_id = mesh_row_uuid(rows, row, ARTICLE_ORDER_ID),
        .product_id = mesh_row_uuid(rows, row, ARTICLE_PRODUCT_ID),
        .code = request->sku->code,
        .size = request->sku->size,
        .quantity = request->quantity,
        .has_expected_total = product__reserve_stock_request_has_expected_total_krw(request),
        .expected_total_krw = request->expected_total_krw,
        .unit_price_krw = unit_price_krw,
        .total_krw = unit_price_krw * request->quantity,
        .stock = mesh_row_int64(rows, row, ARTICLE_STOCK),
    };
}

MESH_STATUS store_reserve(struct mesh_ctx *ctx, struct mesh_db *db,
                          const Product__ReserveStockRequest *request,
                          struct reservation **ret_reservation)
{
    bool has_total = product__reserve_stock_request_has_expected_total_krw(request);
    struct mesh_rows *rows;

    MESH_TRY(
        mesh_db_query(ctx, db, &sql_reserve_stock,
                      MESH_ARGS(mesh_uuid(request->order_id), mesh_text(request->sku->code),
                                mesh_text(request->sku->size), mesh_int64(request->quantity),
                                has_total ? mesh_int64(request->expected_total_krw) : mesh_null()),
                      &rows));
    *ret_reservation = read_one_reservation(ctx, rows);
    return MESH_OK;
}

MESH_STATUS store_lock_article(struct mesh_ctx *ctx, struct mesh_tx *tx,
                               const Product__ReserveStockRequest *const *requests, size_t n,
                               struct reservation_list *ret_list)
{
    const Product__Sku *sku = requests[0]->sku;
    const char **ids = mesh_alloc(ctx, n * sizeof(*ids));
    struct mesh_rows *rows;

    for (size_t i = 0; i < n; i++) {
        ids[i] = requests[i]->order_id;
    }
    MESH_TRY(mesh_tx_query(
        ctx, tx, &sql_lock_article,
        MESH_ARGS(mesh_text(sku->code), mesh_text(sku->size), mesh_uuid_array(ids, n)), &rows));
    *ret_list = new_list(ctx, rows);
    for (int64_t row = 0; row < mesh_rows_count(rows); row++) {
        ret_list->reservations[row] =
            read_asked(rows, row, requests[mesh_row_int64(rows, row, ARTICLE_NUMBER) - 1]);
    }
    return MESH_OK;
}

MESH_STATUS store_insert_reservations(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                      const struct reservation_list *list)
{
    const struct reservation *first = &list->reservations[0];
    const char **ids = mesh_alloc(ctx, list->n * sizeof(*ids));
    int64_t *quantities = mesh_alloc(ctx, list->n * sizeof(*quantities));
    int64_t *totals = mesh_alloc(ctx, list->n * sizeof(*totals));
    const char **reasons = mesh_alloc(ctx, list->n * sizeof(*reasons));

    for (size_t i = 0; i < list->n; i++) {
        const struct reservation *from = &list->reservations[i];

        ids[i] = from->order_id;
        quantities[i] = from->quantity;
        totals[i] = from->has_expected_total ? from->expected_total_krw : NO_TOTAL;
        reasons[i] = from->reason;
    }
    return mesh_tx_exec(
        ctx, tx, &sql_insert_reservations,
        MESH_ARGS(mesh_uuid(first->product_id), mesh_text(first->code), mesh_text(first->size),
                  mesh_int64(first->unit_price_krw), mesh_uuid_array(ids, list->n),
                  mesh_int64_array(quantities, list->n), mesh_int64_array(totals, list->n),
                  mesh_text_array(reasons, list->n)));
}

struct changed {
    const char **ids;
    int64_t *quantities;
    size_t n;
};

static struct changed find_changed(struct mesh_ctx *ctx, const struct stock_changes *changes)
{
    struct changed changed = {.ids = mesh_alloc(ctx, changes->n * sizeof(*changed.ids)),
                              .quantities =
                                  mesh_alloc(ctx, changes->n * sizeof(*changed.quantities))};

    for (size_t i = 0; i < changes->n; i++) {
        if (changes->changes[i].quantity != 0) {
            changed.ids[changed.n] = changes->changes[i].product_id;
            changed.quantities[changed.n++] = changes->changes[i].quantity;
        }
    }
    return changed;
}

#define CHANGE_ARGS(changed)                                                                       \
    MESH_ARGS(mesh_uuid_array((changed).ids, (changed).n),                                         \
              mesh_int64_array((changed).quantities, (changed).n))

MESH_STATUS store_change_stock(struct mesh_ctx *ctx, struct mesh_tx *tx,
                               const struct stock_changes *changes)
{
    struct changed changed = find_changed(ctx, changes);

    return changed.n == 0 ? MESH_OK
                          : mesh_tx_exec(ctx, tx, &sql_change_stock, CHANGE_ARGS(changed));
}

MESH_STATUS store_change_stock_counted(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                       struct stock_changes *changes)
{
    struct changed changed = find_changed(ctx, changes);
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &sql_change_stock, CHANGE_ARGS(changed), &rows));
    for (int64_t row = 0; row < mesh_rows_count(rows); row++) {
        stock_change_of(changes, mesh_row_uuid(rows, row, 0))->stock = mesh_row_int64(rows, row, 1);
    }
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

#define ORDER_ARGS(orders) MESH_ARGS(mesh_uuid_array((orders)->ids, (orders)->n))

MESH_STATUS store_lock_reserved_articles(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                         const struct order_ids *orders,
                                         struct stock_changes *ret_changes)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &sql_lock_reserved_articles, ORDER_ARGS(orders), &rows));
    ret_changes->n = (size_t)mesh_rows_count(rows);
    ret_changes->changes = mesh_alloc(ctx, ret_changes->n * sizeof(struct stock_change));
    for (int64_t row = 0; row < mesh_rows_count(rows); row++) {
        ret_changes->changes[row].product_id = mesh_row_uuid(rows, row, 0);
    }
    return MESH_OK;
}

MESH_STATUS store_insert_tombstones(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                    const struct order_ids *orders)
{
    return mesh_tx_exec(ctx, tx, &sql_insert_tombstones, ORDER_ARGS(orders));
}

MESH_STATUS store_get_reservations(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                   const struct order_ids *orders,
                                   struct reservation_list *ret_list)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(ctx, tx, &sql_select_reservations, ORDER_ARGS(orders), &rows));
    *ret_list = new_list(ctx, rows);
    for (int64_t row = 0; row < mesh_rows_count(rows); row++) {
        ret_list->reservations[row] = read_reservation(rows, row);
    }
    return MESH_OK;
}

MESH_STATUS store_release(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct order_ids *orders)
{
    return mesh_tx_exec(ctx, tx, &sql_release_reservations, ORDER_ARGS(orders));
}
