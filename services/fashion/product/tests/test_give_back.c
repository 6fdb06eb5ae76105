/* SPDX-License-Identifier: Apache-2.0 */
#include "product_test.h"
#include "reservation.h"

#include <pthread.h>
#include <time.h>

static void reject(const char *order_id)
{
    Order__OrderRejected event = ORDER__ORDER_REJECTED__INIT;

    event.order_id = order_id;
    event.reason = "PAYMENT_DECLINED";
    event.payment_asked = true;
    event.version = 2;
    HANDLE(on_order_rejected, &service, &event);
}

/* Its fields say something else than was reserved: they must not matter. */
static void cancel_delivery(const char *order_id)
{
    Delivery__DeliveryCancelled event = DELIVERY__DELIVERY_CANCELLED__INIT;

    event.delivery_id = "0191a1f0-0000-7000-8000-000000000009";
    event.order_id = order_id;
    event.product_code = "8000";
    event.size = "M";
    event.quantity = 77;
    event.version = 2;
    HANDLE(on_delivery_cancelled, &service, &event);
}

static int64_t state_of(const char *order_id)
{
    return FIXTURE_INT64("select state::bigint from reservations where order_id = $1",
                         MESH_ARGS(mesh_uuid(order_id)));
}

TEST(FS_D_4_the_stock_of_a_rejected_order_comes_back_once)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "8000", 100);
    CHECK_INT(reserve(ctx, order_id, "8000", 2), MESH_OK);
    reject(order_id);
    CHECK_INT(stock_of("8000"), 100);
    reject(order_id);
    cancel_delivery(order_id);
    CHECK_INT(stock_of("8000"), 100);
}

TEST(FS_F_9_FS_X_9_a_cancelled_delivery_gives_back_what_this_service_knows_was_taken)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "8001", 100);
    CHECK_INT(reserve(ctx, order_id, "8001", 3), MESH_OK);
    cancel_delivery(order_id);
    cancel_delivery(order_id);
    CHECK_INT(stock_of("8001"), 100);
    CHECK_INT(stock_of("8000"), 100);
}

TEST(what_was_released_is_never_taken_again)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "8002", 100);
    CHECK_INT(reserve(ctx, order_id, "8002", 3), MESH_OK);
    reject(order_id);
    CHECK_INT(reserve(ctx, order_id, "8002", 3), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "RESERVATION_RELEASED");
    CHECK_INT(stock_of("8002"), 100);
}

TEST(a_rejection_that_overtakes_the_reservation_forbids_it)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "8003", 100);
    reject(order_id);
    reject(order_id);
    CHECK_INT(reserve(ctx, order_id, "8003", 3), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "RESERVATION_RELEASED");
    CHECK_INT(stock_of("8003"), 100);
}

/* The id of an order whose reservation of one piece is in the state. */
static const char *given_reservation(struct mesh_ctx *ctx, enum reservation_state state)
{
    const char *order_id = mesh_new_id(ctx);

    if (state == RESERVATION_REFUSED) {
        CHECK_INT(reserve(ctx, order_id, "8004", 11), MESH_FAILED_PRECONDITION);
    } else if (state != RESERVATION_NONE) {
        CHECK_INT(reserve(ctx, order_id, "8004", 1), MESH_OK);
    }
    if (state == RESERVATION_RELEASED) {
        reject(order_id);
    }
    return order_id;
}

TEST(every_pair_of_event_and_state_does_what_the_table_says)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    given_product(ctx, "8004", 10);
    for (int event = 0; event < (int)RESERVATION_N_EVENTS; event++) {
        for (int from = RESERVATION_NONE; from <= (int)RESERVATION_RELEASED; from++) {
            const char *order_id = given_reservation(ctx, (enum reservation_state)from);

            if (event == RESERVATION_ORDER_REJECTED) {
                reject(order_id);
            } else {
                cancel_delivery(order_id);
            }
            CHECK_INT(state_of(order_id), reservation_after((enum reservation_event)event,
                                                            (enum reservation_state)from));
            CHECK_INT(stock_of("8004"), 10);
        }
    }
}

struct race {
    const char *order_id;
    const char *code;
    int head_start_us; /* of the reservation */
    enum mesh_status status;
};

static void give_head_start(int us)
{
    if (us > 0) {
        nanosleep(&(struct timespec){.tv_nsec = us * 1000L}, NULL);
    }
}

static void reserve_or_reject(void *arg, int i)
{
    struct race *race = arg;

    if (i == 0) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

        race->status = reserve(ctx, race->order_id, race->code, 1);
    } else {
        give_head_start(race->head_start_us);
        reject(race->order_id);
    }
}

TEST(a_rejection_beside_the_reservation_leaves_the_stock_whole)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    int n_refused = 0;

    given_product(ctx, "8005", 5);
    for (int round = 0; round < 200; round++) {
        struct race race = {
            .order_id = mesh_new_id(ctx), .code = "8005", .head_start_us = round % 2 * round};

        fixture_parallel(2, reserve_or_reject, &race);
        CHECK(race.status == MESH_OK || race.status == MESH_FAILED_PRECONDITION);
        n_refused += race.status != MESH_OK;
        CHECK_INT(state_of(race.order_id), RESERVATION_RELEASED);
        CHECK_INT(stock_of("8005"), 5);
    }
    print_message("%d of 200 were rejected first\n", n_refused);
}

static void *reserve_thread(void *arg)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct race *race = arg;

    race->status = reserve(ctx, race->order_id, race->code, 1);
    return NULL;
}

static enum mesh_status reject_in(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *order_id)
{
    Order__OrderRejected event = ORDER__ORDER_REJECTED__INIT;

    event.order_id = order_id;
    event.reason = "PAYMENT_DECLINED";
    event.version = 2;
    return on_order_rejected(ctx, &service, tx, &event);
}

/* A batch holds the row of one order and wants the article; a reservation for that order holds the
 * article and wants the row. */
TEST(a_deadlock_with_a_batch_of_events_is_not_the_customers_problem)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *held = mesh_new_id(ctx);
    struct race race = {.order_id = mesh_new_id(ctx), .code = "8007"};
    enum mesh_status status = MESH_ABORTED;
    pthread_t thread;
    bool started = false;

    given_product(ctx, "8007", 5);
    CHECK_INT(reserve(ctx, held, "8007", 1), MESH_OK);
    while (status == MESH_ABORTED) { /* as the runtime does with a batch */
        cleanup_tx struct mesh_tx *tx = NULL;

        CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
        CHECK_INT(reject_in(ctx, tx, race.order_id), MESH_OK);
        if (!started) {
            started = true;
            CHECK_INT(pthread_create(&thread, NULL, reserve_thread, &race), 0);
            while (FIXTURE_INT64("select count(*) from pg_locks where not granted", MESH_NO_ARGS) ==
                   0) {
            }
        }
        status = reject_in(ctx, tx, held);
        status = status == MESH_OK ? mesh_tx_commit(ctx, &tx) : status;
    }
    CHECK_INT(status, MESH_OK);
    pthread_join(thread, NULL);
    /* Whichever of the two Postgres broke off tried again, so the reservation came first or second.
     */
    CHECK(race.status == MESH_OK || race.status == MESH_FAILED_PRECONDITION);
    CHECK_INT(stock_of("8007"), 5);
    CHECK_INT(state_of(held), RESERVATION_RELEASED);
    CHECK_INT(state_of(race.order_id), RESERVATION_RELEASED);
}

TEST(a_release_is_told_once_if_wanted)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "8006", 5);
    service.stock_events = true;
    CHECK_INT(reserve(ctx, order_id, "8006", 1), MESH_OK);
    reject(order_id);
    reject(order_id);
    service.stock_events = false;
    CHECK_INT(fixture_events("StockReleased", order_id), 1);
    CHECK_INT(stock_of("8006"), 5);
}

TEST_MAIN(setup, teardown)
