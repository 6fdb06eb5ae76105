/* SPDX-License-Identifier: Apache-2.0 */
#include "dashboard_test.h"

static Customercenter__ListDashboardsResponse list(struct mesh_ctx *ctx, int32_t page_size,
                                                   const char *page_token, const char *customer_id)
{
    Customercenter__ListDashboardsRequest request = CUSTOMERCENTER__LIST_DASHBOARDS_REQUEST__INIT;
    Customercenter__ListDashboardsResponse page = CUSTOMERCENTER__LIST_DASHBOARDS_RESPONSE__INIT;

    request.page_size = page_size;
    request.page_token = page_token;
    request.customer_id = customer_id;
    CHECK_INT(rpc_list_dashboards(ctx, &service, &request, &page), MESH_OK);
    return page;
}

static void clear(void)
{
    CHECK_INT(FIXTURE_INT64("with gone as (delete from dashboard_orders returning 1) "
                            "select 0::bigint",
                            MESH_NO_ARGS),
              0);
}

TEST(an_order_that_was_refused_at_once_never_shows)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    clear();
    apply(order_rejected, order_id);
    apply(payment_completed, order_id);
    CHECK(dashboard_of(ctx, order_id) == NULL);
    CHECK_INT(list(ctx, 0, "", "").n_dashboards, 0);
}

TEST(PX_4_whatever_is_told_of_an_order_that_never_was_is_kept_aside_and_never_shows)
{
    static apply_event *const events[] = {payment_completed,  payment_cancelled, delivery_started,
                                          delivery_cancelled, order_rejected,    order_cancelled};
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    clear();
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        apply(events[i], order_id); /* or the events behind it would wait */
        CHECK(dashboard_of(ctx, order_id) == NULL);
    }
    CHECK_INT(list(ctx, 0, "", "").n_dashboards, 0);
}

TEST(a_list_is_newest_first_paged_and_of_one_customer_if_wanted)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Customercenter__ListDashboardsResponse page;
    const char *order_ids[5];
    const char *token = "";
    int left = 5;

    clear();
    for (int i = 0; i < left; i++) {
        order_ids[i] = mesh_new_id(ctx);
        apply(order_placed, order_ids[i]);
    }
    do {
        page = list(ctx, 2, token, "");
        for (size_t i = 0; i < page.n_dashboards; i++) {
            CHECK_TEXT(page.dashboards[i]->order_id, order_ids[--left]);
        }
        token = page.next_page_token;
    } while (token[0] != '\0');
    CHECK_INT(left, 0);
    CHECK_INT(list(ctx, 0, "", "c1").n_dashboards, 5);
    CHECK_INT(list(ctx, 0, "", "c2").n_dashboards, 0);
    page = list(ctx, 4, "", "c1");
    CHECK_INT(list(ctx, 4, page.next_page_token, "c1").n_dashboards, 1);
}

TEST_MAIN(setup, teardown)
