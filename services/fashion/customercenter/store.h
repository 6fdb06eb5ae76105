/* SPDX-License-Identifier: Apache-2.0 */
/* Dashboards in Postgres. What is read lives in ctx's memory. */
#ifndef CUSTOMERCENTER_STORE_H
#define CUSTOMERCENTER_STORE_H

#include "dashboard.h"
#include "mesh/db.h"
#include "mesh/id.h"
#include "mesh/page.h"

struct dashboard_list {
    struct dashboard *dashboards;
    size_t n;
};

/* What an order event tells: the order itself is NULL or 0 where the event does not describe it. */
struct order_news {
    const char *order_id;
    const char *customer_id;
    const char *product_code;
    const char *size;
    int64_t quantity;
    int64_t total_krw;
    Order__OrderStatus status;
    const char *reject_reason;
    int64_t version;
};

/* What an event of a payment or of a delivery tells. */
struct part_news {
    const char *order_id;
    const char *id; /* of the payment or delivery */
    int64_t status;
    int64_t version;
};

/*
 * Each takes what an event tells into its source's part of the row, at the time of the event that
 * ctx handles, unless a newer version is known. They do not wait.
 */
MESH_STATUS store_put_order(struct mesh_ctx *ctx, struct mesh_tx *tx,
                            const struct order_news *news);
/* An event that does not describe the order. */
MESH_STATUS store_end_order(struct mesh_ctx *ctx, struct mesh_tx *tx,
                            const struct order_news *news);
MESH_STATUS store_put_payment(struct mesh_ctx *ctx, struct mesh_tx *tx,
                              const struct part_news *news);
MESH_STATUS store_put_delivery(struct mesh_ctx *ctx, struct mesh_tx *tx,
                               const struct part_news *news);

/* *ret_dashboard is NULL if there is none. */
MESH_STATUS store_get_dashboard(struct mesh_ctx *ctx, struct mesh_db *db, const char *order_id,
                                struct dashboard **ret_dashboard);
/* One row more than the page holds, newest first; of one customer unless customer_id is "". */
MESH_STATUS store_list_dashboards(struct mesh_ctx *ctx, struct mesh_db *db, const char *customer_id,
                                  const struct mesh_page *page, struct dashboard_list *ret_list);

/*
 * Where a watcher stands: it has seen everything that the snapshot `seen` sees. What a newer
 * snapshot, the pass, sees besides is read in pages; `last` is the newest change read of them.
 */
struct watch_position {
    char *seen; /* pg_snapshot; these are on the heap: they outlive the context of a page */
    char *pass; /* NULL between passes */
    char *last_xid;
    char last_order_id[MESH_UUID_SIZE];
};

/* Stands at the present. */
MESH_STATUS store_begin_watch(struct mesh_ctx *ctx, struct mesh_db *db,
                              struct watch_position *ret_position);
/*
 * Reads the next page of changed rows, of one customer and one order unless they are "", and moves
 * the position behind it. *ret_more: another page follows at once.
 */
MESH_STATUS store_read_changes(struct mesh_ctx *ctx, struct mesh_db *db,
                               const Customercenter__WatchDashboardsRequest *filter,
                               struct watch_position *position, struct dashboard_list *ret_list,
                               bool *ret_more);
void store_end_watch(struct watch_position *position);

#endif
