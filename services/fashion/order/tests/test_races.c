/* SPDX-License-Identifier: Apache-2.0 */
/* A slow PlaceOrder against sweep, cancel and repeats. */
#include "order_test.h"

#include <pthread.h>
#include <stdio.h>

/* A PlaceOrder on a thread of its own that hangs in a call to a peer. */
struct slow {
    const Order__PlaceOrderRequest *request;
    pthread_t thread;
    pthread_barrier_t hangs;
    pthread_barrier_t goes_on;
    enum mesh_status status;
    Order__OrderStatus answered;
    char reason[64];
};

static void *run_slow(void *arg)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct slow *slow = arg;
    Order__PlaceOrderResponse response;

    slow->status = place(ctx, slow->request, &response);
    slow->answered = response.order == NULL ? STATUS(UNSPECIFIED) : response.order->status;
    (void)snprintf(slow->reason, sizeof(slow->reason), "%s",
                   slow->status == MESH_OK ? "" : mesh_ctx_error_reason(ctx));
    return NULL;
}

static void hang(void *arg)
{
    struct slow *slow = arg;

    pthread_barrier_wait(&slow->hangs);
    pthread_barrier_wait(&slow->goes_on);
}

/* Returns while it hangs there. */
static void start(struct slow *slow, const Order__PlaceOrderRequest *request, enum fake_rpc where)
{
    slow->request = request;
    CHECK_INT(pthread_barrier_init(&slow->hangs, NULL, 2), 0);
    CHECK_INT(pthread_barrier_init(&slow->goes_on, NULL, 2), 0);
    fake_during(where, hang, slow);
    CHECK_INT(pthread_create(&slow->thread, NULL, run_slow, slow), 0);
    pthread_barrier_wait(&slow->hangs);
}

static void end(struct slow *slow)
{
    pthread_barrier_wait(&slow->goes_on);
    CHECK_INT(pthread_join(slow->thread, NULL), 0);
    pthread_barrier_destroy(&slow->hangs);
    pthread_barrier_destroy(&slow->goes_on);
}

static const enum mesh_status pay_answers[] = {MESH_OK, MESH_FAILED_PRECONDITION,
                                               MESH_DEADLINE_EXCEEDED};

static void sweep_it(const char *order_id)
{
    make_due(order_id);
    sweep();
}

static void cancel_it(const char *order_id)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__CancelOrderResponse response;

    CHECK_INT(cancel(ctx, order_id, &response), MESH_OK);
}

/* Somebody rejects the order while PlaceOrder hangs: it stays rejected, whatever the peer says. */
static void check_rejected_meanwhile(enum fake_rpc where, enum mesh_status answer,
                                     void (*reject)(const char *order_id), const char *reason)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    struct slow slow;
    struct order *order;

    begin();
    start(&slow, request, where);
    order = stored_for(ctx, request);
    reject(order->order_id);
    check_told(ctx, order->order_id, STATUS(REJECTED));
    fake_answer(where, answer, "TOO_LATE");
    end(&slow);

    CHECK_INT(slow.status, MESH_FAILED_PRECONDITION);
    CHECK_TEXT(slow.reason, reason);
    check_told(ctx, order->order_id, STATUS(REJECTED));
    order = stored_for(ctx, request);
    CHECK_TEXT(order->reject_reason, reason);
    CHECK_INT(order->payment_asked, where == FAKE_PAY);
    CHECK_INT(fake_asked(FAKE_PAY).n, where == FAKE_PAY);
    CHECK_INT(n_events(order->order_id), 1);
}

TEST(an_order_swept_while_payment_hangs_stays_rejected)
{
    for (size_t i = 0; i < 3; i++) {
        check_rejected_meanwhile(FAKE_PAY, pay_answers[i], sweep_it, "ABANDONED");
    }
}

TEST(an_order_cancelled_while_payment_hangs_stays_rejected)
{
    for (size_t i = 0; i < 3; i++) {
        check_rejected_meanwhile(FAKE_PAY, pay_answers[i], cancel_it, "CANCELLED_BY_CUSTOMER");
    }
}

/* A stranger's cancel: no order that may still be paid has a delivery. */
TEST(an_order_whose_delivery_is_cancelled_while_payment_hangs_is_rejected)
{
    for (size_t i = 0; i < 3; i++) {
        check_rejected_meanwhile(FAKE_PAY, pay_answers[i], cancel_delivery, "DELIVERY_CANCELLED");
    }
}

TEST(an_order_rejected_while_stock_is_reserved_is_never_paid)
{
    check_rejected_meanwhile(FAKE_RESERVE, MESH_OK, sweep_it, "ABANDONED");
    check_rejected_meanwhile(FAKE_RESERVE, MESH_OK, cancel_it, "CANCELLED_BY_CUSTOMER");
    check_rejected_meanwhile(FAKE_RESERVE, MESH_FAILED_PRECONDITION, cancel_it,
                             "CANCELLED_BY_CUSTOMER");
    check_rejected_meanwhile(FAKE_RESERVE, MESH_OK, cancel_delivery, "DELIVERY_CANCELLED");
}

/* A repeat comes through while the first try hangs. What the two hear from payment, what they
 * answer, and the end. */
struct overtaken {
    enum mesh_status repeat_hears, first_hears;
    Order__OrderStatus repeat_answers, end;
    int64_t n_told;
};

static void check_overtaken(enum fake_rpc where, struct overtaken want)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    Order__PlaceOrderRequest other = *request;
    Order__PlaceOrderResponse response;
    struct slow slow;

    begin();
    start(&slow, request, where);
    other.quantity = 7;
    CHECK_INT(try_place(ctx, &other), MESH_ALREADY_EXISTS);
    fake_answer(FAKE_PAY, want.repeat_hears, NULL);
    CHECK_INT(place(ctx, request, &response), MESH_OK);
    CHECK_INT(response.order->status, want.repeat_answers);
    fake_answer(FAKE_PAY, want.first_hears, "REFUSED");
    end(&slow);

    CHECK_INT(slow.status, want.end == STATUS(REJECTED) ? MESH_FAILED_PRECONDITION : MESH_OK);
    CHECK_INT(slow.answered, want.end == STATUS(REJECTED) ? STATUS(UNSPECIFIED) : want.end);
    check_told(ctx, response.order->order_id, want.end);
    CHECK_INT(n_events(response.order->order_id), want.n_told);
    CHECK_INT(n_orders(), 1);
}

TEST(a_repeat_may_overtake_the_first_try)
{
    static const struct overtaken table[] = {
        {MESH_OK, MESH_OK, STATUS(PLACED), STATUS(PLACED), 1},
        {MESH_OK, MESH_UNAVAILABLE, STATUS(PLACED), STATUS(PLACED), 1},
        {MESH_UNAVAILABLE, MESH_OK, STATUS(PAYMENT_PENDING), STATUS(PLACED), 2},
        {MESH_UNAVAILABLE, MESH_UNKNOWN, STATUS(PAYMENT_PENDING), STATUS(PAYMENT_PENDING), 1},
        {MESH_UNAVAILABLE, MESH_NOT_FOUND, STATUS(PAYMENT_PENDING), STATUS(REJECTED), 2},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        check_overtaken(FAKE_PAY, table[i]);
    }
    check_overtaken(FAKE_RESERVE, table[0]);
}

TEST(a_sweep_may_pay_a_pending_order_before_the_first_try_ends)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__PlaceOrderRequest *request = request_of(ctx);
    struct slow slow;
    const char *order_id;

    begin();
    start(&slow, request, FAKE_PAY);
    fake_answer(FAKE_PAY, MESH_UNAVAILABLE, NULL);
    CHECK_INT(try_place(ctx, request), MESH_OK);
    order_id = stored_for(ctx, request)->order_id;
    fake_answer(FAKE_PAY, MESH_OK, NULL);
    sweep_it(order_id);
    check_told(ctx, order_id, STATUS(PLACED));
    fake_answer(FAKE_PAY, MESH_DEADLINE_EXCEEDED, NULL);
    end(&slow);
    CHECK_INT(slow.status, MESH_OK);
    CHECK_INT(slow.answered, STATUS(PLACED));
    check_told(ctx, order_id, STATUS(PLACED));
}

TEST_MAIN(setup, teardown)
