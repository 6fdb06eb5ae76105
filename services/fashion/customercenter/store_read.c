/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the store that reads and watches dashboards. */
#include "customercenter_sql.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

/* The columns of every statement that reads dashboards; in watch_dashboards.sql others stand
 * before. */
enum column {
    COLUMN_ORDER_ID,
    COLUMN_CUSTOMER_ID,
    COLUMN_PRODUCT_CODE,
    COLUMN_SIZE,
    COLUMN_QUANTITY,
    COLUMN_TOTAL_KRW,
    COLUMN_ORDER_STATUS,
    COLUMN_REJECT_REASON,
    COLUMN_PAYMENT_STATUS,
    COLUMN_PAYMENT_ID,
    COLUMN_DELIVERY_STATUS,
    COLUMN_DELIVERY_ID,
    COLUMN_UPDATED_AT,
};

enum watch_column {
    WATCH_COLUMN_PASS,
    WATCH_COLUMN_LAST_XID,
    WATCH_COLUMN_LAST_ORDER_ID,
    WATCH_COLUMN_MORE,
    WATCH_COLUMN_DASHBOARD, /* the first of its columns */
};

#define FIRST_XID "0"
#define FIRST_ORDER_ID "00000000-0000-0000-0000-000000000000"

static void read_dashboard(const struct mesh_rows *rows, int64_t row, int first,
                           struct dashboard *ret_dashboard)
{
    ret_dashboard->order_id = mesh_row_uuid(rows, row, first + COLUMN_ORDER_ID);
    ret_dashboard->customer_id = mesh_row_text(rows, row, first + COLUMN_CUSTOMER_ID);
    ret_dashboard->product_code = mesh_row_text(rows, row, first + COLUMN_PRODUCT_CODE);
    ret_dashboard->size = mesh_row_text(rows, row, first + COLUMN_SIZE);
    ret_dashboard->quantity = mesh_row_int64(rows, row, first + COLUMN_QUANTITY);
    ret_dashboard->total_krw = mesh_row_int64(rows, row, first + COLUMN_TOTAL_KRW);
    ret_dashboard->order_status =
        (Order__OrderStatus)mesh_row_int64(rows, row, first + COLUMN_ORDER_STATUS);
    ret_dashboard->reject_reason = mesh_row_text(rows, row, first + COLUMN_REJECT_REASON);
    ret_dashboard->payment_status =
        (Payment__PaymentStatus)mesh_row_int64(rows, row, first + COLUMN_PAYMENT_STATUS);
    ret_dashboard->payment_id = mesh_row_uuid(rows, row, first + COLUMN_PAYMENT_ID);
    ret_dashboard->delivery_status =
        (Delivery__DeliveryStatus)mesh_row_int64(rows, row, first + COLUMN_DELIVERY_STATUS);
    ret_dashboard->delivery_id = mesh_row_uuid(rows, row, first + COLUMN_DELIVERY_ID);
    ret_dashboard->updated_us = mesh_row_time(rows, row, first + COLUMN_UPDATED_AT);
}

/* Rows without an order id are left out. */
static void read_list(struct mesh_ctx *ctx, const struct mesh_rows *rows, int first,
                      struct dashboard_list *ret_list)
{
    int64_t n_rows = mesh_rows_count(rows);

    ret_list->n = 0;
    ret_list->dashboards = mesh_alloc(ctx, (size_t)n_rows * sizeof(struct dashboard));
    for (int64_t i = 0; i < n_rows; i++) {
        if (!mesh_row_is_null(rows, i, first + COLUMN_ORDER_ID)) {
            read_dashboard(rows, i, first, &ret_list->dashboards[ret_list->n++]);
        }
    }
}

MESH_STATUS store_get_dashboard(struct mesh_ctx *ctx, struct mesh_db *db, const char *order_id,
                                struct dashboard **ret_dashboard)
{
    struct dashboard_list list;
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, db, &sql_select_dashboard, MESH_ARGS(mesh_uuid(order_id)), &rows));
    read_list(ctx, rows, 0, &list);
    *ret_dashboard = list.n == 0 ? NULL : &list.dashboards[0];
    return MESH_OK;
}

MESH_STATUS store_list_dashboards(struct mesh_ctx *ctx, struct mesh_db *db, const char *customer_id,
                                  const struct mesh_page *page, struct dashboard_list *ret_list)
{
    struct mesh_rows *rows;

    if (customer_id[0] == '\0') {
        MESH_TRY(mesh_db_query(ctx, db, &sql_list_dashboards,
                               MESH_ARGS(mesh_uuid(page->before), mesh_int64(page->size + 1)),
                               &rows));
    } else {
        MESH_TRY(mesh_db_query(
            ctx, db, &sql_list_dashboards_of_customer,
            MESH_ARGS(mesh_uuid(page->before), mesh_int64(page->size + 1), mesh_text(customer_id)),
            &rows));
    }
    read_list(ctx, rows, 0, ret_list);
    return MESH_OK;
}

static void keep(char **kept, const char *text)
{
    free(*kept);
    *kept = text == NULL ? NULL : strdup(text);
    if (text != NULL && *kept == NULL) {
        abort();
    }
}

/* A pass is over: everything that it sees has been read. */
static void finish_pass(struct watch_position *position, const char *seen)
{
    keep(&position->seen, seen);
    keep(&position->pass, NULL);
    keep(&position->last_xid, FIRST_XID);
    memcpy(position->last_order_id, FIRST_ORDER_ID, MESH_UUID_SIZE);
}

MESH_STATUS store_begin_watch(struct mesh_ctx *ctx, struct mesh_db *db,
                              struct watch_position *ret_position)
{
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, db, &sql_select_position, MESH_NO_ARGS, &rows));
    memset(ret_position, 0, sizeof(*ret_position));
    finish_pass(ret_position, mesh_row_text(rows, 0, 0));
    return MESH_OK;
}

static const char *text_or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

MESH_STATUS store_read_changes(struct mesh_ctx *ctx, struct mesh_db *db,
                               const Customercenter__WatchDashboardsRequest *filter,
                               struct watch_position *position, struct dashboard_list *ret_list,
                               bool *ret_more)
{
    struct mesh_rows *rows;

    MESH_TRY(
        mesh_db_query(ctx, db, &sql_watch_dashboards,
                      MESH_ARGS(mesh_text(position->seen), mesh_text(position->pass),
                                mesh_text(position->last_xid), mesh_uuid(position->last_order_id),
                                mesh_text(text_or_null(filter->customer_id)),
                                mesh_uuid(text_or_null(filter->order_id))),
                      &rows));
    read_list(ctx, rows, WATCH_COLUMN_DASHBOARD, ret_list);
    *ret_more = mesh_row_bool(rows, 0, WATCH_COLUMN_MORE);
    if (*ret_more) {
        keep(&position->pass, mesh_row_text(rows, 0, WATCH_COLUMN_PASS));
        keep(&position->last_xid, mesh_row_text(rows, 0, WATCH_COLUMN_LAST_XID));
        memcpy(position->last_order_id, mesh_row_uuid(rows, 0, WATCH_COLUMN_LAST_ORDER_ID),
               MESH_UUID_SIZE);
    } else {
        finish_pass(position, mesh_row_text(rows, 0, WATCH_COLUMN_PASS));
    }
    return MESH_OK;
}

void store_end_watch(struct watch_position *position)
{
    free(position->seen);
    free(position->pass);
    free(position->last_xid);
}
