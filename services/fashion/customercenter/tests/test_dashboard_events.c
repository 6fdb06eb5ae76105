/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ctx_impl.h"
#include "dashboard_test.h"

#define MAX_EVENTS 7

/* An event and when it happened. */
struct happened {
    apply_event *apply;
    int64_t time_us;
};

/* Applies the events in the order of `at`, all in one transaction. */
static const char *apply_all(const struct happened *events, const int *at, int n)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    cleanup_tx struct mesh_tx *tx = NULL;
    static char order_id[MESH_UUID_SIZE];

    mesh_uuid_v7(order_id);
    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    for (int i = 0; i < n; i++) {
        ctx->scope->event_time_us = events[at[i]].time_us;
        CHECK_INT(events[at[i]].apply(ctx, tx, order_id), MESH_OK);
    }
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    return order_id;
}

/* The row without its id, packed; lives in ctx. */
static uint8_t *packed_row(struct mesh_ctx *ctx, const char *order_id, size_t *ret_size)
{
    Customercenter__Dashboard *row = dashboard_of(ctx, order_id);
    uint8_t *bytes;

    if (row == NULL) {
        fail_msg("order %s does not show", order_id);
        return NULL;
    }
    row->order_id = "";
    bytes = mesh_alloc(ctx, customercenter__dashboard__get_packed_size(row));
    *ret_size = customercenter__dashboard__pack(row, bytes);
    return bytes;
}

/* The next permutation in lexical order; false after the last. */
static bool permute(int *at, int n)
{
    int i = n - 2;
    int j = n - 1;

    while (i >= 0 && at[i] > at[i + 1]) {
        i--;
    }
    if (i < 0) {
        return false;
    }
    while (at[j] < at[i]) {
        j--;
    }
    for (int swap = at[i], k = 0; k < 1; k++) {
        at[i] = at[j];
        at[j] = swap;
    }
    for (int left = i + 1, right = n - 1; left < right; left++, right--) {
        int swap = at[left];

        at[left] = at[right];
        at[right] = swap;
    }
    return true;
}

/* Every order of arrival gives the same row. Returns how many there were. */
static int check_all_orders(const struct happened *events, int n)
{
    cleanup_ctx struct mesh_ctx *first_ctx = fixture_ctx();
    int at[MAX_EVENTS] = {0, 1, 2, 3, 4, 5, 6};
    size_t first_size = 0;
    const uint8_t *first = packed_row(first_ctx, apply_all(events, at, n), &first_size);
    int count = 1;

    while (permute(at, n)) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        size_t size = 0;
        const uint8_t *row = packed_row(ctx, apply_all(events, at, n), &size);

        CHECK_INT(size, first_size);
        CHECK(memcmp(row, first, size) == 0);
        count++;
    }
    return count;
}

TEST(FS_N_4_all_events_of_a_cancelled_order_in_every_order_of_arrival_give_the_same_row)
{
    static const struct happened events[] = {
        {order_payment_pending, 100}, {payment_completed, 110},  {order_placed, 120},
        {delivery_started, 130},      {delivery_cancelled, 140}, {payment_cancelled, 150},
        {order_cancelled, 160},
    };

    CHECK_INT(check_all_orders(events, 7), 5040);
}

TEST(all_events_of_a_delivered_order_in_every_order_of_arrival_give_the_same_row)
{
    static const struct happened events[] = {
        {order_payment_pending, 100},
        {payment_completed, 110},
        {order_placed, 120},
        {delivery_started, 130},
    };

    CHECK_INT(check_all_orders(events, 4), 24);
}

TEST(all_events_of_an_order_that_was_given_up_in_every_order_of_arrival_give_the_same_row)
{
    static const struct happened events[] = {
        {order_payment_pending, 100},
        {payment_completed, 110},
        {order_rejected, 120},
        {payment_cancelled, 130},
    };

    CHECK_INT(check_all_orders(events, 4), 24);
}

TEST(an_order_is_shown_from_step_to_step)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    apply(order_payment_pending, order_id);
    CHECK_INT(dashboard_of(ctx, order_id)->order_status, ORDER(PAYMENT_PENDING));
    CHECK_INT(dashboard_of(ctx, order_id)->payment_status, PAYMENT(UNSPECIFIED));
    apply(payment_completed, order_id);
    CHECK_INT(dashboard_of(ctx, order_id)->payment_status, PAYMENT(PAID));
    apply(order_placed, order_id);
    CHECK_INT(dashboard_of(ctx, order_id)->order_status, ORDER(PLACED));
    CHECK_TEXT(dashboard_of(ctx, order_id)->delivery_id, "");
    apply(delivery_started, order_id);
    CHECK_INT(dashboard_of(ctx, order_id)->order_status, ORDER(SHIPPED));
    CHECK_TEXT(dashboard_of(ctx, order_id)->delivery_id, DELIVERY_ID);
    apply(delivery_cancelled, order_id);
    CHECK_INT(dashboard_of(ctx, order_id)->order_status, ORDER(CANCELLED));
    CHECK_INT(dashboard_of(ctx, order_id)->delivery_status, DELIVERY(CANCELLED));
    apply(payment_cancelled, order_id);
    CHECK_INT(dashboard_of(ctx, order_id)->payment_status, PAYMENT(CANCELLED));
    apply(order_cancelled, order_id);
    CHECK_INT(dashboard_of(ctx, order_id)->order_status, ORDER(CANCELLED));
    CHECK_INT(dashboard_of(ctx, order_id)->quantity, 2);
    CHECK_INT(dashboard_of(ctx, order_id)->total_krw, 100000);
}

/* Every event, as three orders get them: one is cancelled in the end, one given up, one delivered.
 */
static apply_event *const lives[][MAX_EVENTS] = {
    {order_payment_pending, payment_completed, order_placed, delivery_started, delivery_cancelled,
     payment_cancelled, order_cancelled},
    {order_payment_pending, payment_completed, order_rejected, payment_cancelled},
    {order_payment_pending, payment_completed, order_placed, delivery_started},
};
#define N_LIVES (sizeof(lives) / sizeof(lives[0]))

/* The transaction by which watchers find the newest change of the order; -1: there is none. */
static int64_t changed_xid(const char *order_id)
{
    return FIXTURE_INT64("select max(changed_xid)::text::bigint from dashboard_changes "
                         "where order_id = $1",
                         MESH_ARGS(mesh_uuid(order_id)));
}

TEST(every_event_is_a_change_that_watchers_find_and_none_after_a_rewind)
{
    for (size_t life = 0; life < N_LIVES; life++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        const char *order_id = mesh_new_id(ctx);
        int64_t before = -1;

        for (int i = 0; i < MAX_EVENTS && lives[life][i] != NULL; i++) {
            apply(lives[life][i], order_id);
            CHECK(changed_xid(order_id) > before);
            before = changed_xid(order_id);
        }
        for (int i = 0; i < MAX_EVENTS && lives[life][i] != NULL; i++) {
            apply(lives[life][i], order_id);
            CHECK_INT(changed_xid(order_id), before);
        }
    }
}

static uint64_t generation(struct mesh_ctx *ctx)
{
    uint64_t seen = 0;

    CHECK_INT(mesh_signal_wait(ctx, service.changed, &seen, 0), MESH_OK);
    return seen;
}

TEST(every_event_is_signalled_once_it_is_committed_and_not_before)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_event_ctx(1);

    for (size_t life = 0; life < N_LIVES; life++) {
        for (int i = 0; i < MAX_EVENTS && lives[life][i] != NULL; i++) {
            cleanup_tx struct mesh_tx *tx = NULL;
            uint64_t before = generation(ctx);

            CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
            CHECK_INT(lives[life][i](ctx, tx, mesh_new_id(ctx)), MESH_OK);
            CHECK_INT(generation(ctx), before);
            CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
            CHECK_INT(generation(ctx), before + 1);
        }
    }
}

TEST(a_late_pending_fills_in_the_order_and_does_not_turn_it_back)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    apply(order_rejected, order_id);
    CHECK(dashboard_of(ctx, order_id) == NULL);
    apply(order_payment_pending, order_id);
    CHECK_INT(dashboard_of(ctx, order_id)->order_status, ORDER(REJECTED));
    CHECK_TEXT(dashboard_of(ctx, order_id)->reject_reason, "PAY_WINDOW_PASSED");
    CHECK_INT(dashboard_of(ctx, order_id)->quantity, 2);
}

TEST_MAIN(setup, teardown)
