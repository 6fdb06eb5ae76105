/* SPDX-License-Identifier: Apache-2.0 */
/* When a watch begins, what wakes it, what it outlives and when it ends. */
#include "watcher.h"

#include <sched.h>

static const struct mesh_clock *real;
static atomic_llong stopped_ns; /* 0: the clock runs */
static atomic_llong ahead_ns;
static atomic_llong stopped_us; /* the wall clock; 0: it leaps */
static atomic_int n_waits;

static int64_t monotonic_ns(void)
{
    int64_t now_ns = atomic_load(&stopped_ns);

    return (now_ns == 0 ? real->monotonic_ns() : now_ns) + atomic_load(&ahead_ns);
}

/* Never the same second twice, so that no gap is left to wait for; or it stands still. */
static int64_t wall_us(void)
{
    static atomic_llong seconds;
    int64_t now_us = atomic_load(&stopped_us);

    return now_us == 0 ? real->wall_us() + atomic_fetch_add(&seconds, 1) * 1000000 : now_us;
}

/* While the clock stands, no time passes; what is waited for may happen all the same. */
static bool wait_by_it(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ns)
{
    atomic_fetch_add(&n_waits, 1);
    if (atomic_load(&stopped_ns) != 0) {
        deadline_ns = real->monotonic_ns() + 5 * MESH_NS_PER_MS;
    } else if (deadline_ns != MESH_NO_DEADLINE) {
        deadline_ns -= atomic_load(&ahead_ns);
    }
    return real->wait(condition, mutex, deadline_ns);
}

static int setup_clock(void **state)
{
    static struct mesh_clock clock;

    real = mesh__clock;
    clock = *real;
    clock.monotonic_ns = monotonic_ns;
    clock.wall_us = wall_us;
    clock.wait = wait_by_it;
    mesh__clock = &clock;
    return setup(state);
}

static struct watcher one;
static struct watcher two;

static void check_sees_new_order(struct watcher *watcher)
{
    char order_id[MESH_UUID_SIZE];

    mesh_uuid_v7(order_id);
    apply(order_placed, order_id);
    check_sees(watcher, order_id, ORDER(PLACED));
}

TEST(who_was_told_that_the_watch_runs_misses_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    prepare(&one, "", "");
    one.placed_meanwhile = mesh_new_id(ctx);
    start(&one);
    check_sees(&one, one.placed_meanwhile, ORDER(PLACED));
    end(&one);
}

TEST(a_change_is_seen_because_a_signal_told_it)
{
    begin(&one);
    check_sees_new_order(&one);
    atomic_store(&stopped_ns, real->monotonic_ns()); /* the look that comes anyway never comes */
    for (int i = 0; i < 5; i++) {
        check_sees_new_order(&one);
    }
    atomic_store(&stopped_ns, 0);
    end(&one);
}

TEST(a_change_that_no_signal_told_is_seen_too)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct mesh_signal *mine = service.changed;
    const char *order_id = mesh_new_id(ctx);

    begin(&one);
    service.changed = mesh__signals_get(signals, "elsewhere");
    apply(order_placed, order_id);
    service.changed = mine;
    check_sees(&one, order_id, ORDER(PLACED));
    end(&one);
}

/* While time stands, what waits stays where it is. */
static void let_it_wait(void)
{
    int before = atomic_load(&n_waits);

    while (atomic_load(&n_waits) - before < 20) {
        sched_yield();
    }
}

TEST(changes_within_the_gap_between_two_looks_come_as_one)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    struct row halfway = row_of(order_id, ORDER(PAYMENT_PENDING));

    begin(&one);
    atomic_store(&stopped_us, real->wall_us());
    check_sees_new_order(&one); /* by a look at this very microsecond */
    atomic_store(&stopped_ns, real->monotonic_ns());
    let_it_wait();
    apply(order_payment_pending, order_id);
    let_it_wait();
    apply(order_placed, order_id);
    atomic_store(&stopped_ns, 0);
    check_sees(&one, order_id, ORDER(PLACED));
    atomic_store(&stopped_us, 0);
    end(&one);
    CHECK(!has_row(&one, &halfway));
}

TEST(a_watch_lasts_for_as_long_as_its_caller_wants)
{
    begin(&one);
    atomic_fetch_add(&ahead_ns, INT64_C(86400) * MESH_NS_PER_S);
    check_sees_new_order(&one);
    end(&one);
}

TEST(one_slow_watcher_does_not_hurt_the_others_and_catches_up)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_ids[300];

    begin(&one);
    begin(&two);
    set_blocked(&one, true);
    for (int i = 0; i < 300; i++) {
        order_ids[i] = mesh_new_id(ctx);
        apply(order_placed, order_ids[i]);
        apply(delivery_started, order_ids[i]);
    }
    CHECK(wait_for(&one, is_writing, NULL));
    for (int i = 0; i < 300; i++) {
        check_sees(&two, order_ids[i], ORDER(SHIPPED));
    }
    set_blocked(&one, false);
    for (int i = 0; i < 300; i++) {
        check_sees(&one, order_ids[i], ORDER(SHIPPED));
    }
    end(&one);
    end(&two);
}

TEST(more_watchers_that_do_not_read_than_there_are_connections_hold_none)
{
    static struct watcher idle[12]; /* the pool has 8 */
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    for (size_t i = 0; i < 12; i++) {
        begin(&idle[i]);
        set_blocked(&idle[i], true);
    }
    apply(order_placed, order_id);
    for (size_t i = 0; i < 12; i++) {
        CHECK(wait_for(&idle[i], is_writing, NULL));
    }
    CHECK(dashboard_of(ctx, order_id) != NULL);
    apply(delivery_started, order_id);
    for (size_t i = 0; i < 12; i++) {
        set_blocked(&idle[i], false);
        check_sees(&idle[i], order_id, ORDER(SHIPPED));
        end(&idle[i]);
    }
}

/* Breaks the connection of a look while it waits for a table that this transaction holds. */
static void break_a_look(void)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    cleanup_tx struct mesh_tx *tx = NULL;
    static const struct mesh_sql hold = {
        "hold", "do $$ begin lock table dashboard_orders in access exclusive mode; end $$"};
    struct mesh_rows *rows;

    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &hold, MESH_NO_ARGS, &rows), MESH_OK);
    mesh_signal_raise(service.changed);
    while (FIXTURE_INT64("select count(pg_terminate_backend(pid)) from pg_stat_activity "
                         "where usename = current_user and wait_event_type = 'Lock'",
                         MESH_NO_ARGS) == 0) {
    }
}

TEST(a_watcher_survives_the_loss_of_its_connection)
{
    begin(&one);
    break_a_look();
    check_sees_new_order(&one);
    end(&one);
}

TEST(a_watch_ends_when_the_server_drains)
{
    begin(&one);
    check_sees_new_order(&one);
    end_by(&one, &one.stopping, MESH_UNAVAILABLE);
}

TEST(a_watcher_that_is_far_behind_does_not_hold_up_a_server_that_drains)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_event_ctx(1);
    cleanup_tx struct mesh_tx *tx = NULL;

    begin(&one);
    set_blocked(&one, true);
    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(order_placed(ctx, tx, mesh_new_id(ctx)), MESH_OK);
    }
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK(wait_for(&one, is_writing, NULL));
    atomic_store(&one.stopping, true);
    set_blocked(&one, false);
    end_by(&one, &one.stopping, MESH_UNAVAILABLE);
    CHECK(one.n_rows < 1000);
}

TEST_MAIN(setup_clock, teardown)
