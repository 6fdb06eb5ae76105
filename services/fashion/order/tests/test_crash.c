/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order service dies, or its database fails it, at every point of PlaceOrder. Whatever was done
 * by then, a repeat ends the order as if nothing had happened, and without one the sweep does.
 */
#include "order_test.h"

static const struct mesh_sql faults[] = {
    {"create_point", "create table fault (point text primary key, deadly boolean not null)"},
    {"create_fault", "create function fault() returns trigger language plpgsql as $$ declare"
                     " found fault; begin"
                     " select * into found from fault where point = tg_argv[0];"
                     " if found.deadly then perform pg_terminate_backend(pg_backend_pid());"
                     " elsif found.point is not null then"
                     "  raise exception 'out of disk' using errcode = '53100'; end if;"
                     " return new; end $$"},
    {"on_insert", "create trigger on_insert before insert on orders"
                  " for each row execute function fault('insert')"},
    {"on_update", "create trigger on_update before update on orders"
                  " for each row execute function fault('update')"},
    {"on_event", "create trigger on_event before insert on outbox"
                 " for each row execute function fault('event')"},
    /* Deferred triggers run inside the commit. */
    {"on_insert_commit", "create constraint trigger on_insert_commit after insert on orders"
                         " deferrable initially deferred"
                         " for each row execute function fault('insert commit')"},
    {"on_update_commit", "create constraint trigger on_update_commit after update on orders"
                         " deferrable initially deferred"
                         " for each row execute function fault('update commit')"},
};

static int setup_faults(void **state)
{
    cleanup_ctx struct mesh_ctx *ctx = NULL;
    int failed = setup(state);

    ctx = fixture_ctx();
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        failed |= mesh_db_query(ctx, service.db, &faults[i], MESH_NO_ARGS, NULL) != MESH_OK;
    }
    return failed;
}

static void mend(void)
{
    FIXTURE_INT64("with gone as (delete from fault returning 1) select count(*) from gone",
                  MESH_NO_ARGS);
}

/* Where a try of PlaceOrder ends. */
struct crash {
    const char *point;     /* that fails in the database; NULL: none */
    bool deadly;           /* the connection is lost in it */
    enum fake_rpc from;    /* the call from which on it fails; FAKE_N: from the beginning */
    enum mesh_status lost; /* the answer of that call */
    bool stored;           /* the order is there afterwards */
    bool asked;            /* payment_asked */
};

static const struct crash crashes[] = {
    {"insert", false, FAKE_N, MESH_OK, false, false},
    {"insert commit", false, FAKE_N, MESH_OK, false, false},
    {"insert commit", true, FAKE_N, MESH_OK, false, false},
    {NULL, false, FAKE_RESERVE, MESH_UNAVAILABLE, true, false}, /* before stock */
    {"update", false, FAKE_RESERVE, MESH_OK, true, false},      /* after stock, before money */
    {"update commit", true, FAKE_RESERVE, MESH_OK, true, false},
    {"update", false, FAKE_PAY, MESH_UNAVAILABLE, true, true}, /* no money, not recorded */
    {"event", false, FAKE_PAY, MESH_UNAVAILABLE, true, true},
    {"update", false, FAKE_PAY, MESH_OK, true, true}, /* after money, not recorded */
    {"event", false, FAKE_PAY, MESH_OK, true, true},
    {"event", true, FAKE_PAY, MESH_OK, true, true},
    {"update commit", false, FAKE_PAY, MESH_OK, true, true},
    {"update commit", true, FAKE_PAY, MESH_OK, true, true},
    {"event", true, FAKE_PAY, MESH_FAILED_PRECONDITION, true, true}, /* refused, not recorded */
};

#define N_CRASHES (sizeof(crashes) / sizeof(crashes[0]))

static void break_it(void *arg)
{
    const struct crash *crash = arg;

    if (crash->point != NULL) {
        CHECK_INT(FIXTURE_INT64("insert into fault values ($1, $2) returning 0::bigint",
                                MESH_ARGS(mesh_text(crash->point), mesh_bool(crash->deadly))),
                  0);
    }
}

/* A try that ends there. The caller is told to come again. */
static void crash_in(struct mesh_ctx *ctx, const Order__PlaceOrderRequest *request,
                     struct crash crash)
{
    begin();
    if (crash.from == FAKE_N) {
        break_it(&crash);
    } else {
        fake_answer(crash.from, crash.lost, "LOST");
        fake_during(crash.from, break_it, &crash);
    }
    CHECK_INT(try_place(ctx, request), MESH_UNAVAILABLE);
    CHECK(mesh_ctx_error_retry_ms(ctx) >= 0);
    mend();
    fake_reset();
    CHECK_INT(n_orders(), crash.stored);
    if (crash.stored) {
        struct order *order = stored_for(ctx, request);

        CHECK_INT(order->payment_asked, crash.asked);
        CHECK_INT(order->total_krw, crash.asked ? 100000 : 0);
        check_told(ctx, order->order_id, STATUS(RECEIVED));
        CHECK_INT(n_events(order->order_id), 0);
    }
}

TEST(PX_11_after_a_crash_anywhere_a_repeat_places_the_order)
{
    for (size_t i = 0; i < N_CRASHES; i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Order__PlaceOrderRequest *request = request_of(ctx);
        Order__PlaceOrderResponse response;

        crash_in(ctx, request, crashes[i]);
        CHECK_INT(place(ctx, request, &response), MESH_OK);
        CHECK_INT(response.order->total_krw, 100000);
        check_told(ctx, response.order->order_id, STATUS(PLACED));
        CHECK_INT(n_events(response.order->order_id), 1);
        CHECK_INT(n_orders(), 1);
    }
}

TEST(PX_11_after_a_crash_anywhere_the_sweep_rejects_what_nobody_repeats)
{
    for (size_t i = 0; i < N_CRASHES; i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Order__PlaceOrderRequest *request = request_of(ctx);
        struct order *order;

        crash_in(ctx, request, crashes[i]);
        if (!crashes[i].stored) {
            continue;
        }
        order = stored_for(ctx, request);
        make_due(order->order_id);
        sweep();
        check_told(ctx, order->order_id, STATUS(REJECTED));
        order = stored(ctx, order->order_id);
        CHECK_TEXT(order->reject_reason, "ABANDONED");
        CHECK_INT(order->payment_asked, crashes[i].asked); /* payment undoes only if asked */
        CHECK_INT(fake_asked(FAKE_PAY).n, 0);
        CHECK_INT(try_place(ctx, request), MESH_FAILED_PRECONDITION);
        CHECK_TEXT(mesh_ctx_error_reason(ctx), "ABANDONED");
    }
}

TEST(a_repeat_that_cannot_touch_its_row_asks_nobody_and_may_be_repeated)
{
    static const struct crash no_touch[] = {{.point = "update"},
                                            {.point = "update commit", .deadly = true}};

    for (size_t i = 0; i < 2; i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Order__PlaceOrderRequest *request = request_of(ctx);
        struct crash crash = no_touch[i];

        begin();
        take_to(ctx, request, STATUS(RECEIVED));
        break_it(&crash);
        CHECK_INT(try_place(ctx, request), MESH_UNAVAILABLE);
        CHECK(mesh_ctx_error_retry_ms(ctx) >= 0);
        CHECK_INT(fake_asked(FAKE_RESERVE).n, 0);
        mend();
        CHECK_INT(try_place(ctx, request), MESH_OK);
        check_told(ctx, stored_for(ctx, request)->order_id, STATUS(PLACED));
    }
}

static void break_event(void *arg __attribute__((unused)))
{
    struct crash crash = {.point = "event"};

    break_it(&crash);
}

TEST(a_sweep_that_cannot_record_a_payment_asks_again_later)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    make_due(order_id);
    fake_during(FAKE_PAY, break_event, NULL);
    sweep();
    mend();
    check_told(ctx, order_id, STATUS(PAYMENT_PENDING));
    make_due(order_id);
    sweep();
    check_told(ctx, order_id, STATUS(PLACED));
    CHECK_INT(fake_asked(FAKE_PAY).n, 2);
}

TEST(a_cancel_that_cannot_be_recorded_changes_nothing_and_may_be_repeated)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__CancelOrderResponse response;
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    break_event(NULL);
    CHECK_INT(cancel(ctx, order_id, &response), MESH_UNAVAILABLE);
    CHECK(mesh_ctx_error_retry_ms(ctx) >= 0);
    mend();
    check_told(ctx, order_id, STATUS(PAYMENT_PENDING));
    CHECK_INT(cancel(ctx, order_id, &response), MESH_OK);
    check_told(ctx, order_id, STATUS(REJECTED));
}

TEST_MAIN(setup_faults, teardown)
