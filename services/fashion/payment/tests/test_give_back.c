/* SPDX-License-Identifier: Apache-2.0 */
#include "payment_test.h"

#include <pthread.h>
#include <time.h>

static int64_t version_of(const char *order_id)
{
    return FIXTURE_INT64("select version from payments where order_id = $1",
                         MESH_ARGS(mesh_uuid(order_id)));
}

TEST(PX_4_an_event_of_an_order_that_never_was_leaves_a_payment_of_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    cancel_delivery(order_id);
    CHECK_INT(status_of(order_id), CANCELLED);
    CHECK_INT(FIXTURE_INT64("select amount_krw from payments where order_id = $1",
                            MESH_ARGS(mesh_uuid(order_id))),
              0);
    CHECK_INT(fixture_events("PaymentCancelled", order_id), 0);
}

TEST(FS_F_8_a_cancelled_delivery_cancels_the_payment_once)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Payment__PayResponse response;

    CHECK_INT(pay(ctx, order_id, 100000, &response), MESH_OK);
    cancel_delivery(order_id);
    cancel_delivery(order_id);
    CHECK_INT(status_of(order_id), CANCELLED);
    CHECK_INT(version_of(order_id), 2);
    CHECK_INT(fixture_events("PaymentCancelled", order_id), 1);
}

TEST(the_payment_of_a_rejected_order_is_cancelled_once)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Payment__PayResponse response;

    CHECK_INT(pay(ctx, order_id, 100000, &response), MESH_OK);
    reject_order(order_id, true);
    reject_order(order_id, true);
    CHECK_INT(status_of(order_id), CANCELLED);
    CHECK_INT(fixture_events("PaymentCancelled", order_id), 1);
    CHECK_INT(pay(ctx, order_id, 100000, &response), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "PAYMENT_CANCELLED");
    CHECK_INT(fixture_events("PaymentCompleted", order_id), 1);
}

TEST(a_rejection_that_overtakes_pay_forbids_it_and_tells_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Payment__PayResponse response;

    reject_order(order_id, true);
    reject_order(order_id, true);
    CHECK_INT(status_of(order_id), CANCELLED);
    CHECK_INT(pay(ctx, order_id, 100000, &response), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "PAYMENT_CANCELLED");
    CHECK_INT(fixture_events("PaymentCancelled", order_id), 0);
    CHECK_INT(fixture_events("PaymentCompleted", order_id), 0);
}

TEST(an_order_that_never_asked_for_money_leaves_nothing_behind)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    reject_order(order_id, false);
    CHECK_INT(status_of(order_id), -1);
}

/* The id of an order whose payment has the status. */
static const char *given_payment(struct mesh_ctx *ctx, Payment__PaymentStatus status)
{
    const char *order_id = mesh_new_id(ctx);
    Payment__PayResponse response;

    if (status == REJECTED) {
        CHECK_INT(pay(ctx, order_id, service.limit_krw + 1, &response), MESH_FAILED_PRECONDITION);
    } else if (status != NONE) {
        CHECK_INT(pay(ctx, order_id, 1, &response), MESH_OK);
    }
    if (status == CANCELLED) {
        reject_order(order_id, true);
    }
    return order_id;
}

TEST(every_pair_of_event_and_status_does_what_the_table_says)
{
    static const Payment__PaymentStatus statuses[] = {NONE, PAID, CANCELLED, REJECTED};
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    for (int event = 0; event < (int)PAYMENT_N_EVENTS; event++) {
        for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
            const char *order_id = given_payment(ctx, statuses[i]);
            int64_t told = fixture_events("PaymentCancelled", order_id);

            if (event == PAYMENT_ORDER_REJECTED) {
                reject_order(order_id, true);
            } else {
                cancel_delivery(order_id);
            }
            CHECK_INT(status_of(order_id), payment_after((enum payment_event)event, statuses[i]));
            CHECK_INT(fixture_events("PaymentCancelled", order_id) - told, statuses[i] == PAID);
        }
    }
}

struct race {
    const char *order_id;
    int head_start_us; /* of Pay */
    enum mesh_status status;
};

static void pay_or_reject(void *arg, int i)
{
    struct race *race = arg;

    if (i == 0) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Payment__PayResponse response;

        race->status = pay(ctx, race->order_id, 1, &response);
    } else {
        if (race->head_start_us > 0) {
            nanosleep(&(struct timespec){.tv_nsec = race->head_start_us * 1000L}, NULL);
        }
        reject_order(race->order_id, true);
    }
}

TEST(a_rejection_beside_pay_never_keeps_the_money)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    int64_t n_paid = 0;

    for (int round = 0; round < 200; round++) {
        struct race race = {.order_id = mesh_new_id(ctx), .head_start_us = round % 2 * round};

        fixture_parallel(2, pay_or_reject, &race);
        CHECK(race.status == MESH_OK || race.status == MESH_FAILED_PRECONDITION);
        CHECK_INT(status_of(race.order_id), CANCELLED);
        CHECK_INT(fixture_events("PaymentCancelled", race.order_id),
                  fixture_events("PaymentCompleted", race.order_id));
        n_paid += race.status == MESH_OK;
    }
    print_message("%d of 200 were paid first\n", (int)n_paid);
}

struct second {
    char order_id[MESH_UUID_SIZE];
    atomic_bool done;
};

static void *cancel_delivery_thread(void *arg)
{
    struct second *second = arg;

    cancel_delivery(second->order_id);
    atomic_store(&second->done, true);
    return NULL;
}

TEST(two_events_that_end_an_order_at_the_same_time_give_its_money_back_once)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    cleanup_tx struct mesh_tx *tx = NULL;
    Order__OrderRejected event = ORDER__ORDER_REJECTED__INIT;
    Payment__PayResponse response;
    struct second second = {.done = false};
    const char *order_id = second.order_id;
    pthread_t thread;

    mesh_uuid_v7(second.order_id);
    event.order_id = order_id;
    event.payment_asked = true;
    CHECK_INT(pay(ctx, order_id, 100000, &response), MESH_OK);
    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    CHECK_INT(on_order_rejected(ctx, &service, tx, &event), MESH_OK);
    CHECK_INT(pthread_create(&thread, NULL, cancel_delivery_thread, &second), 0);
    fixture_await_lock(&second.done);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    pthread_join(thread, NULL);
    CHECK_INT(version_of(order_id), 2);
    CHECK_INT(fixture_events("PaymentCancelled", order_id), 1);
}

TEST_MAIN(setup, teardown)
