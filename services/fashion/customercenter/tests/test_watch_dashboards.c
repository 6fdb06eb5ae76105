/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher.h"

static struct watcher one;
static struct watcher two;

TEST(a_watcher_sees_every_step_of_an_order)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    begin(&one);
    apply(order_payment_pending, order_id);
    check_sees(&one, order_id, ORDER(PAYMENT_PENDING));
    apply(order_placed, order_id);
    check_sees(&one, order_id, ORDER(PLACED));
    apply(delivery_started, order_id);
    check_sees(&one, order_id, ORDER(SHIPPED));
    apply(delivery_cancelled, order_id);
    check_sees(&one, order_id, ORDER(CANCELLED));
    end(&one);
}

TEST(a_change_that_is_committed_after_newer_ones_is_not_lost)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_event_ctx(1);
    cleanup_tx struct mesh_tx *slow = NULL;
    const char *early = mesh_new_id(ctx);
    struct mesh_rows *rows;

    begin(&one);
    CHECK_INT(mesh_tx_begin(ctx, service.db, &slow), MESH_OK);
    CHECK_INT(order_placed(ctx, slow, early), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, slow, &sql_select_position, MESH_NO_ARGS, &rows), MESH_OK);
    for (int i = 0; i < 3; i++) {
        const char *late = mesh_new_id(ctx);

        apply(order_placed, late);
        check_sees(&one, late, ORDER(PLACED));
    }
    CHECK_INT(mesh_tx_commit(ctx, &slow), MESH_OK);
    check_sees(&one, early, ORDER(PLACED));
    end(&one);
}

TEST(many_changes_of_one_transaction_come_in_pages_and_all_come)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_event_ctx(1);
    cleanup_tx struct mesh_tx *tx = NULL;
    const char *order_ids[1001];

    begin(&one);
    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    for (int i = 0; i < 1001; i++) {
        order_ids[i] = mesh_new_id(ctx);
        CHECK_INT(order_placed(ctx, tx, order_ids[i]), MESH_OK);
        CHECK_INT(payment_completed(ctx, tx, order_ids[i]), MESH_OK);
    }
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    for (int i = 0; i < 1001; i++) {
        check_sees(&one, order_ids[i], ORDER(PLACED));
    }
    end(&one);
}

/* The order becomes another customer's. */
static void give_to(const char *order_id, const char *customer_id)
{
    CHECK_INT(FIXTURE_INT64("update dashboard_orders set customer_id = $2, "
                            "changed_xid = pg_current_xact_id() where order_id = $1 "
                            "returning 0::bigint",
                            MESH_ARGS(mesh_uuid(order_id), mesh_text(customer_id))),
              0);
    mesh_signal_raise(service.changed);
}

static void check_saw_only(struct watcher *watcher, const char *order_id)
{
    for (size_t i = 0; i < watcher->n_rows; i++) {
        CHECK_TEXT(watcher->rows[i].order_id, order_id);
    }
}

TEST(a_watcher_of_one_order_or_customer_sees_nothing_else)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *mine = mesh_new_id(ctx);
    const char *of_c2 = mesh_new_id(ctx);

    prepare(&one, "", mine);
    prepare(&two, "c2", "");
    start(&one);
    start(&two);
    apply(order_placed, mesh_new_id(ctx));
    apply(order_placed, of_c2);
    apply(order_placed, mine);
    give_to(of_c2, "c2"); /* last of all, so that it comes after what must not be seen */
    check_sees(&one, mine, ORDER(PLACED));
    check_sees(&two, of_c2, ORDER(PLACED));
    end(&one);
    end(&two);
    check_saw_only(&one, mine);
    check_saw_only(&two, of_c2);
}

TEST(an_order_that_was_refused_at_once_is_not_streamed)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *refused = mesh_new_id(ctx);
    const char *placed = mesh_new_id(ctx);

    begin(&one);
    apply(order_rejected, refused);
    apply(order_placed, placed);
    check_sees(&one, placed, ORDER(PLACED));
    end(&one);
    for (size_t i = 0; i < one.n_rows; i++) {
        CHECK(strcmp(one.rows[i].order_id, refused) != 0);
    }
}

TEST_MAIN(setup, teardown)
