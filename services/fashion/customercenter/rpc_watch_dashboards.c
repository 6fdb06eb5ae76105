/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams the rows that change. Every watcher keeps a position of its own, a snapshot of Postgres,
 * and asks for what that snapshot did not see: so nothing is kept for a slow watcher, which only
 * delays itself, and it does not matter which replica applied a change.
 *
 * A watcher looks when it is told of a change, and once a second anyway, which also finds what no
 * signal told. Where changes come one after the other it looks less and less often, down to every
 * 20 ms, so that several come as one; after a silence it begins anew: the few changes of a single
 * order need not wait for each other.
 */
#include "mesh/time.h"
#include "service.h"
#include "store.h"

#define MIN_GAP_US 2000 /* between two looks */
#define MAX_GAP_US 20000
#define LOOK_ANYWAY_MS 1000
#define READ_TIMEOUT_MS 5000

struct watch {
    struct customercenter_service *service;
    const Customercenter__WatchDashboardsRequest *request;
    struct mesh_stream *stream;
    struct watch_position position;
    int64_t gap_us;
};

static MESH_STATUS send_row(struct mesh_ctx *ctx, struct mesh_stream *stream,
                            const struct dashboard *dashboard)
{
    Customercenter__WatchDashboardsResponse response;

    customercenter__watch_dashboards_response__init(&response);
    response.dashboard = dashboard_describe(ctx, dashboard);
    return customercenter_watch_dashboards_write(ctx, stream, &response);
}

/* No connection is held while the watcher is written to. */
static MESH_STATUS show_page(struct mesh_ctx *ctx, struct watch *watch, bool *ret_more)
{
    struct dashboard_list list;

    MESH_TRY(store_read_changes(mesh_ctx_timeout(ctx, READ_TIMEOUT_MS), watch->service->db,
                                watch->request, &watch->position, &list, ret_more));
    for (size_t i = 0; i < list.n; i++) {
        MESH_TRY(send_row(ctx, watch->stream, &list.dashboards[i]));
    }
    return MESH_OK;
}

/* Postgres is away or busy: the position is as it was, and the next look goes on from it. */
static bool is_passing(enum mesh_status status)
{
    return status == MESH_UNAVAILABLE || status == MESH_DEADLINE_EXCEEDED || status == MESH_ABORTED;
}

/* Shows everything that has changed, page by page, each in memory that ends with it. A server that
 * drains does not wait for the rest. */
static MESH_STATUS look(struct mesh_ctx *ctx, struct watch *watch)
{
    bool more = true;

    while (more && !mesh_ctx_stopping(ctx)) {
        cleanup_ctx struct mesh_ctx *page = mesh_ctx_fork(ctx);
        enum mesh_status status = show_page(page, watch, &more);

        if (is_passing(status)) {
            return MESH_OK;
        }
        if (status != MESH_OK) {
            return mesh_fail(ctx, status, "%s", mesh_ctx_error(page));
        }
    }
    return MESH_OK;
}

/* Waits for what is left of the gap since the last look; the next one is longer. */
static MESH_STATUS keep_gap(struct mesh_ctx *ctx, struct watch *watch, int64_t looked_us)
{
    int64_t passed_us = mesh_now_us() - looked_us;
    int64_t left_us = watch->gap_us - passed_us;

    if (passed_us < 0 || passed_us >= MAX_GAP_US) { /* a clock was set back, or it was quiet */
        watch->gap_us = MIN_GAP_US;
        return MESH_OK;
    }
    watch->gap_us = 2 * watch->gap_us < MAX_GAP_US ? 2 * watch->gap_us : MAX_GAP_US;
    return left_us <= 0 ? MESH_OK : mesh_ctx_sleep(ctx, left_us / 1000);
}

/* Ends when the call does. */
static MESH_STATUS watch_changes(struct mesh_ctx *ctx, struct watch *watch)
{
    uint64_t seen = 0;

    for (;;) {
        int64_t looked_us;

        MESH_TRY(look(ctx, watch));
        looked_us = mesh_now_us();
        MESH_TRY(mesh_signal_wait(ctx, watch->service->changed, &seen, LOOK_ANYWAY_MS));
        MESH_TRY(keep_gap(ctx, watch, looked_us));
    }
}

MESH_STATUS rpc_watch_dashboards(struct mesh_ctx *ctx, struct customercenter_service *service,
                                 const Customercenter__WatchDashboardsRequest *request,
                                 struct mesh_stream *stream)
{
    struct watch watch = {
        .service = service, .request = request, .stream = stream, .gap_us = MIN_GAP_US};
    enum mesh_status status;

    MESH_TRY(store_begin_watch(ctx, service->db, &watch.position));
    /* From here on no change is missed: the caller may rely on it. */
    status = mesh_stream_send_initial_metadata(ctx, stream);
    if (status == MESH_OK) {
        status = watch_changes(ctx, &watch);
    }
    store_end_watch(&watch.position);
    return status;
}
