/* SPDX-License-Identifier: Apache-2.0 */
#include "watcher.h"

static struct watcher one;
static struct watcher two;

TEST(a_watcher_sees_every_step_of_an_order)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    begin_and_see(&one);
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

TEST(a_watch_ends_when_the_server_drains)
{
    begin_and_see(&one);
    end_by(&one, &one.stopping, MESH_UNAVAILABLE);
}

TEST(a_change_is_seen_soon_after_its_commit)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    int64_t slowest_ms = 0;

    begin_and_see(&one);
    for (int i = 0; i < 5; i++) {
        const char *order_id = mesh_new_id(ctx);
        int64_t start_ns = mesh__now_ns();
        int64_t took_ms;

        apply(order_placed, order_id);
        check_sees(&one, order_id, ORDER(PLACED));
        took_ms = (mesh__now_ns() - start_ns) / MESH_NS_PER_MS;
        slowest_ms = took_ms > slowest_ms ? took_ms : slowest_ms;
    }
    end(&one);
    print_message("slowest %d ms\n", (int)slowest_ms);
    CHECK(slowest_ms < 900); /* by the signal, not by the look that comes every second */
}

TEST(a_change_that_no_signal_told_is_seen_too)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct mesh_signal *mine = service.changed;
    const char *order_id = mesh_new_id(ctx);

    begin_and_see(&one);
    service.changed = mesh__signals_get(signals, "elsewhere");
    apply(order_placed, order_id);
    service.changed = mine;
    check_sees(&one, order_id, ORDER(PLACED));
    end(&one);
}

TEST(a_change_that_is_committed_after_newer_ones_is_not_lost)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_event_ctx(1);
    cleanup_tx struct mesh_tx *slow = NULL;
    const char *early = mesh_new_id(ctx);
    struct mesh_rows *rows;

    begin_and_see(&one);
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

    begin_and_see(&one);
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

TEST(one_slow_watcher_does_not_hurt_the_others_and_catches_up)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_ids[300];

    begin_and_see(&one);
    begin_and_see(&two);
    pthread_mutex_lock(&one.mutex);
    one.blocked = true;
    pthread_mutex_unlock(&one.mutex);
    for (int i = 0; i < 300; i++) {
        order_ids[i] = mesh_new_id(ctx);
        apply(order_placed, order_ids[i]);
        apply(delivery_started, order_ids[i]);
    }
    CHECK(wait_for(&one, is_writing, NULL));
    for (int i = 0; i < 300; i++) {
        check_sees(&two, order_ids[i], ORDER(SHIPPED));
    }
    pthread_mutex_lock(&one.mutex);
    one.blocked = false;
    pthread_cond_broadcast(&one.changed);
    pthread_mutex_unlock(&one.mutex);
    for (int i = 0; i < 300; i++) {
        check_sees(&one, order_ids[i], ORDER(SHIPPED));
    }
    end(&one);
    end(&two);
}

TEST(a_watcher_of_one_order_or_customer_sees_nothing_else)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *mine = mesh_new_id(ctx);

    begin(&one, "", mine);
    begin(&two, "nobody", "");
    /* Until it was seen three times, so that the other one has had time to see what it must not. */
    do {
        apply(order_placed, mesh_new_id(ctx));
        mesh_signal_raise(service.changed);
        apply(order_payment_pending, mine);
        CHECK_INT(FIXTURE_INT64("update dashboard_orders set changed_xid = pg_current_xact_id() "
                                "where order_id = $1 returning 0::bigint",
                                MESH_ARGS(mesh_uuid(mine))),
                  0);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        pthread_mutex_lock(&one.mutex);
    } while (one.n_rows < 3 && pthread_mutex_unlock(&one.mutex) == 0);
    for (size_t i = 0; i < one.n_rows; i++) {
        CHECK_TEXT(one.rows[i].order_id, mine);
    }
    pthread_mutex_unlock(&one.mutex);
    end(&one);
    end(&two);
    CHECK_INT(two.n_rows, 0);
}

TEST(an_order_that_was_refused_at_once_is_not_streamed)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *refused = mesh_new_id(ctx);
    const char *placed = mesh_new_id(ctx);

    begin_and_see(&one);
    apply(order_rejected, refused);
    apply(order_placed, placed);
    check_sees(&one, placed, ORDER(PLACED));
    end(&one);
    for (size_t i = 0; i < one.n_rows; i++) {
        CHECK(strcmp(one.rows[i].order_id, refused) != 0);
    }
}

TEST(a_watcher_survives_the_loss_of_its_connection)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    begin_and_see(&one);
    CHECK(FIXTURE_INT64("select count(pg_terminate_backend(pid)) from pg_stat_activity "
                        "where usename = current_user and pid <> pg_backend_pid()",
                        MESH_NO_ARGS) >= 0);
    mesh_signal_raise(service.changed);
    for (enum mesh_status status = MESH_UNAVAILABLE; status != MESH_OK;) {
        cleanup_ctx struct mesh_ctx *event_ctx = fixture_event_ctx(1);
        cleanup_tx struct mesh_tx *tx = NULL;

        CHECK_INT(mesh_tx_begin(event_ctx, service.db, &tx), MESH_OK);
        status = order_placed(event_ctx, tx, order_id);
        status = status == MESH_OK ? mesh_tx_commit(event_ctx, &tx) : status;
    }
    check_sees(&one, order_id, ORDER(PLACED));
    end(&one);
}

TEST_MAIN(setup, teardown)
