/* SPDX-License-Identifier: Apache-2.0 */
/* Everybody against everybody: repeats, PayOrder, CancelOrder and sweeps on one order at once,
 * while calls and answers are lost. */
#include "order_test.h"

#define N_THREADS 16
#define ROUNDS 40

struct crowd {
    const Order__PlaceOrderRequest *request;
    enum mesh_status statuses[N_THREADS];
};

static enum mesh_status take_part(struct mesh_ctx *ctx, const Order__PlaceOrderRequest *request,
                                  int i)
{
    Order__CancelOrderResponse cancelled;
    Order__PayOrderResponse paid;
    struct order *order;
    bool more;

    MESH_TRY(store_get_order_of_request(ctx, &service, request->request_id, &order));
    if (order == NULL || i < 8) {
        return try_place(ctx, request);
    }
    if (i < 12) {
        return pay(ctx, order->order_id, &paid);
    }
    return i == 12 ? cancel(ctx, order->order_id, &cancelled) : sweep_run(ctx, &service, &more);
}

static void join_in(void *arg, int i)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct crowd *crowd = arg;

    for (int step = 0; step < 5; step++) {
        crowd->statuses[i] = take_part(ctx, crowd->request, i);
    }
}

TEST(whoever_runs_at_once_the_order_ends_in_one_way_and_tells_it_once)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct crowd crowd = {.request = request_of(ctx)};
        struct order *order;

        begin();
        service.pay_retry_ms = 0; /* so that the sweeps find something */
        service.received_timeout_ms = round % 4 == 0 ? 0 : 30000;
        fake_at_random(round);
        fixture_parallel(N_THREADS, join_in, &crowd);
        for (int i = 0; i < N_THREADS; i++) {
            CHECK(crowd.statuses[i] == MESH_OK || crowd.statuses[i] == MESH_UNAVAILABLE ||
                  crowd.statuses[i] == MESH_FAILED_PRECONDITION);
        }
        CHECK_INT(n_orders(), 1);
        order = stored_for(ctx, crowd.request);
        check_told(ctx, order->order_id, order->status);
        CHECK(order->status != STATUS(PLACED) || order->payment_id != NULL);
        CHECK(fake_asked(FAKE_PAY).n == 0 || order->payment_asked);
        /* One event for every move. */
        CHECK_INT(n_events(order->order_id), order->version - 1);
    }
}

TEST_MAIN(setup, teardown)
