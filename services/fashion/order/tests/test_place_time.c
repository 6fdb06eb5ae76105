/* SPDX-License-Identifier: Apache-2.0 */
/* PlaceOrder against the caller's deadline and cancellation. The clock stands still unless a case
 * moves it. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "order_test.h"

#include <stdatomic.h>

static const struct mesh_clock *real;
static atomic_llong stopped_ns; /* 0: the clock runs */

static int64_t monotonic_ns(void)
{
    int64_t now_ns = atomic_load(&stopped_ns);

    return now_ns == 0 ? real->monotonic_ns() : now_ns;
}

static int setup_clock(void **state)
{
    static struct mesh_clock clock;

    real = mesh__clock;
    clock = *real;
    clock.monotonic_ns = monotonic_ns;
    mesh__clock = &clock;
    return setup(state);
}

/* The clock stands still from here on; the caller's time is left_ms. */
static struct mesh_ctx *caller(struct mesh_ctx *ctx, int64_t left_ms)
{
    begin();
    atomic_store(&stopped_ns, real->monotonic_ns());
    ctx->deadline_ns = mesh__in_ms(left_ms);
    return ctx;
}

static void let_it_run(void)
{
    atomic_store(&stopped_ns, 0);
}

static void pass_ms(int64_t ms)
{
    atomic_fetch_add(&stopped_ns, ms * MESH_NS_PER_MS);
}

static void pass_a_second(void *arg __attribute__((unused)))
{
    pass_ms(1000);
}

static void leave(void *gone)
{
    atomic_store((atomic_bool *)gone, true);
}

TEST(payment_gets_what_is_left_but_for_the_time_to_record_its_answer)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    CHECK_INT(try_place(caller(ctx, 700), request_of(ctx)), MESH_OK);
    let_it_run();
    CHECK_INT(fake_asked(FAKE_PAY).left_ms, 550);
}

/* A peer that answers nothing until the time of its call is over. */
static void hang(void *rpc)
{
    fake_answer(*(enum fake_rpc *)rpc, MESH_DEADLINE_EXCEEDED, NULL);
    pass_ms(fake_asked(*(enum fake_rpc *)rpc).left_ms);
}

static void check_told_to_repeat(struct mesh_ctx *ctx, enum mesh_status outcome)
{
    CHECK_INT(outcome, MESH_UNAVAILABLE);
    CHECK(mesh_ctx_error_retry_ms(ctx) > 0);
    CHECK(mesh_ctx_remaining_ms(ctx) > 0); /* or it would hear DEADLINE_EXCEEDED */
}

TEST(FS_N_3_while_product_hangs_the_caller_is_told_to_repeat_before_its_time_is_over)
{
    static const int64_t left_ms[] = {2000, 1000, 700, 100};
    enum fake_rpc reserve = FAKE_RESERVE;

    for (size_t i = 0; i < sizeof(left_ms) / sizeof(left_ms[0]); i++) {
        cleanup_ctx struct mesh_ctx *ctx = caller(fixture_ctx(), left_ms[i]);
        Order__PlaceOrderRequest *request = request_of(ctx);

        fake_during(FAKE_RESERVE, hang, &reserve);
        check_told_to_repeat(ctx, try_place(ctx, request));
        CHECK_INT(fake_asked(FAKE_RESERVE).n, 1);
        let_it_run();
        ctx->deadline_ns = mesh__in_ms(30000);
        check_told(ctx, stored_for(ctx, request)->order_id, STATUS(RECEIVED));
    }
}

TEST(while_delivery_hangs_who_cancels_is_told_to_repeat_before_its_time_is_over)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    enum fake_rpc withdraw = FAKE_WITHDRAW;
    Order__CancelOrderResponse response;
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(PLACED))->order_id;
    atomic_store(&stopped_ns, real->monotonic_ns());
    ctx->deadline_ns = mesh__in_ms(700);
    fake_during(FAKE_WITHDRAW, hang, &withdraw);
    check_told_to_repeat(ctx, cancel(ctx, order_id, &response));
    let_it_run();
    ctx->deadline_ns = mesh__in_ms(30000);
    check_told(ctx, order_id, STATUS(PLACED));
}

static void check_nothing_left(int64_t left_ms, int n_pay)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    Order__PlaceOrderResponse response;

    CHECK_INT(place(caller(ctx, left_ms), request, &response), MESH_OK);
    let_it_run();
    CHECK_INT(fake_asked(FAKE_PAY).n, n_pay);
    CHECK_INT(response.order->status, n_pay == 0 ? STATUS(PAYMENT_PENDING) : STATUS(PLACED));
    CHECK_INT(response.retry_after != NULL, n_pay == 0);
    check_told(ctx, response.order->order_id, response.order->status);
}

TEST(with_nothing_left_payment_is_not_asked_and_the_order_waits)
{
    check_nothing_left(150, 0);
    check_nothing_left(60, 0);
    check_nothing_left(151, 1);
}

TEST(with_no_time_for_anything_nobody_is_asked_and_the_caller_is_told_to_repeat)
{
    cleanup_ctx struct mesh_ctx *ctx = caller(fixture_ctx(), 50);
    Order__PlaceOrderRequest *request = request_of(ctx);

    check_told_to_repeat(ctx, try_place(ctx, request));
    let_it_run();
    ctx->deadline_ns = mesh__in_ms(30000);
    CHECK_INT(fake_asked(FAKE_RESERVE).n, 0);
    check_told(ctx, stored_for(ctx, request)->order_id, STATUS(RECEIVED));
}

/* Pay answers after the caller's deadline. */
static void check_slow_pay(enum mesh_status answer, Order__OrderStatus status)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    enum mesh_status outcome;

    caller(ctx, 900);
    fake_answer(FAKE_PAY, answer, "BECAUSE");
    fake_during(FAKE_PAY, pass_a_second, NULL);
    outcome = try_place(ctx, request);
    let_it_run();
    ctx->deadline_ns = mesh__in_ms(30000);
    CHECK_INT(outcome, status == STATUS(REJECTED) ? MESH_FAILED_PRECONDITION : MESH_OK);
    check_told(ctx, stored_for(ctx, request)->order_id, status);
}

TEST(what_payment_answers_is_recorded_after_the_callers_deadline_too)
{
    check_slow_pay(MESH_OK, STATUS(PLACED));
    check_slow_pay(MESH_FAILED_PRECONDITION, STATUS(REJECTED));
    check_slow_pay(MESH_DEADLINE_EXCEEDED, STATUS(PAYMENT_PENDING));
}

/* The caller goes away while Pay is under way. */
static void check_gone_in_pay(enum mesh_status answer, Order__OrderStatus status)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    atomic_bool gone = false;

    begin();
    ctx->cancelled = &gone;
    fake_answer(FAKE_PAY, answer, "BECAUSE");
    fake_during(FAKE_PAY, leave, &gone);
    CHECK_INT(try_place(ctx, request),
              status == STATUS(REJECTED) ? MESH_FAILED_PRECONDITION : MESH_OK);
    CHECK(gone);
    ctx->cancelled = NULL;
    check_told(ctx, stored_for(ctx, request)->order_id, status);
}

TEST(what_payment_answers_is_recorded_when_the_caller_is_gone)
{
    check_gone_in_pay(MESH_OK, STATUS(PLACED));
    check_gone_in_pay(MESH_FAILED_PRECONDITION, STATUS(REJECTED));
    check_gone_in_pay(MESH_CANCELLED, STATUS(PAYMENT_PENDING));
}

TEST(a_caller_gone_before_payment_leaves_the_order_received)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    atomic_bool gone = false;

    begin();
    ctx->cancelled = &gone;
    fake_during(FAKE_RESERVE, leave, &gone);
    CHECK_INT(try_place(ctx, request), MESH_UNAVAILABLE);
    ctx->cancelled = NULL;
    CHECK_INT(fake_asked(FAKE_PAY).n, 0);
    check_told(ctx, stored_for(ctx, request)->order_id, STATUS(RECEIVED));

    CHECK_INT(try_place(ctx, request), MESH_OK);
    check_told(ctx, stored_for(ctx, request)->order_id, STATUS(PLACED));
}

TEST(a_caller_whose_time_is_over_stores_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    CHECK_INT(try_place(caller(ctx, 0), request_of(ctx)), MESH_DEADLINE_EXCEEDED);
    let_it_run();
    CHECK_INT(n_orders(), 0);
    CHECK_INT(fake_asked(FAKE_RESERVE).n, 0);
}

TEST(PayOrder_with_nothing_left_asks_nobody_and_the_order_goes_on_waiting)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PayOrderResponse response;
    const char *order_id;

    begin();
    order_id = given(ctx, STATUS(PAYMENT_PENDING))->order_id;
    atomic_store(&stopped_ns, real->monotonic_ns());
    ctx->deadline_ns = mesh__in_ms(150);
    CHECK_INT(pay(ctx, order_id, &response), MESH_OK);
    let_it_run();
    ctx->deadline_ns = mesh__in_ms(30000);
    CHECK_INT(response.order->status, STATUS(PAYMENT_PENDING));
    CHECK_INT(fake_asked(FAKE_PAY).n, 0);
    check_told(ctx, order_id, STATUS(PAYMENT_PENDING));
}

TEST_MAIN(setup_clock, teardown)
