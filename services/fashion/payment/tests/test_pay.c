/* SPDX-License-Identifier: Apache-2.0 */
#include "payment_test.h"

TEST(FS_F_3_an_order_is_paid_and_told_once_with_its_amount)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Payment__PayResponse response;

    CHECK_INT(pay(ctx, order_id, 100000, &response), MESH_OK);
    CHECK(mesh_is_uuid(response.payment->payment_id));
    CHECK_TEXT(response.payment->order_id, order_id);
    CHECK_INT(response.payment->status, PAID);
    CHECK_INT(response.payment->amount_krw, 100000);
    CHECK(response.payment->create_time->seconds > 1600000000);
    CHECK_INT(status_of(order_id), PAID);
    CHECK_INT(fixture_events("PaymentCompleted", order_id), 1);
}

TEST(a_repeat_gets_the_same_payment_and_tells_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Payment__PayResponse first;
    Payment__PayResponse second;

    CHECK_INT(pay(ctx, order_id, 100000, &first), MESH_OK);
    CHECK_INT(pay(ctx, order_id, 100000, &second), MESH_OK);
    CHECK_TEXT(second.payment->payment_id, first.payment->payment_id);
    CHECK_INT(fixture_events("PaymentCompleted", order_id), 1);
    CHECK_INT(n_payments_of(order_id), 1);
}

TEST(another_amount_for_the_same_order_is_refused)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Payment__PayResponse response;

    CHECK_INT(pay(ctx, order_id, 100000, &response), MESH_OK);
    CHECK_INT(pay(ctx, order_id, 1, &response), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "PAYMENT_DIFFERS");
    CHECK_INT(n_payments_of(order_id), 1);
}

TEST(an_amount_above_the_limit_is_declined_for_good)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    int64_t limit_krw = service.limit_krw;
    Payment__PayResponse response;

    for (int i = 0; i < 2; i++) {
        CHECK_INT(pay(ctx, order_id, limit_krw + 1, &response), MESH_FAILED_PRECONDITION);
        CHECK_TEXT(mesh_ctx_error_reason(ctx), "PAYMENT_DECLINED");
    }
    service.limit_krw *= 2;
    CHECK_INT(pay(ctx, order_id, limit_krw + 1, &response), MESH_FAILED_PRECONDITION);
    service.limit_krw = limit_krw;
    CHECK_INT(status_of(order_id), REJECTED);
    CHECK_INT(fixture_events("PaymentCompleted", order_id), 0);
    CHECK_INT(fixture_events("PaymentCancelled", order_id), 0);
}

struct race {
    const char *order_id;
    char payment_ids[24][MESH_UUID_SIZE];
};

static void pay_it(void *arg, int i)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct race *race = arg;
    Payment__PayResponse response;

    if (pay(ctx, race->order_id, 5000, &response) == MESH_OK) {
        memcpy(race->payment_ids[i], response.payment->payment_id, MESH_UUID_SIZE);
    }
}

TEST(PX_3_repeats_at_the_same_time_pay_once)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    for (int round = 0; round < 20; round++) {
        struct race race = {.order_id = mesh_new_id(ctx)};

        fixture_parallel(24, pay_it, &race);
        for (int i = 0; i < 24; i++) {
            CHECK(mesh_is_uuid(race.payment_ids[i]));
            CHECK_TEXT(race.payment_ids[i], race.payment_ids[0]);
        }
        CHECK_INT(n_payments_of(race.order_id), 1);
        CHECK_INT(fixture_events("PaymentCompleted", race.order_id), 1);
    }
}

TEST(without_its_database_it_answers_try_again)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_hurried_ctx(1000);
    struct mesh_db *dead = fixture_dead_db();
    enum mesh_status status;
    Payment__PayResponse response;

    service.db = dead;
    status = pay(ctx, mesh_new_id(ctx), 1, &response);
    service.db = fixture_db();
    mesh__db_free(dead);
    CHECK(status == MESH_UNAVAILABLE || status == MESH_DEADLINE_EXCEEDED);
}

static enum mesh_status get(struct mesh_ctx *ctx, bool by_order, const char *id,
                            Payment__GetPaymentResponse *ret_response)
{
    Payment__GetPaymentRequest request = PAYMENT__GET_PAYMENT_REQUEST__INIT;

    payment__get_payment_response__init(ret_response);
    if (by_order) {
        request.by_case = PAYMENT__GET_PAYMENT_REQUEST__BY_ORDER_ID;
        request.order_id = id;
    } else {
        request.by_case = PAYMENT__GET_PAYMENT_REQUEST__BY_PAYMENT_ID;
        request.payment_id = id;
    }
    return rpc_get_payment(ctx, &service, &request, ret_response);
}

TEST(a_payment_is_found_by_its_id_and_by_its_order)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);
    Payment__GetPaymentResponse found;
    Payment__PayResponse paid;

    CHECK_INT(pay(ctx, order_id, 100000, &paid), MESH_OK);
    CHECK_INT(get(ctx, true, order_id, &found), MESH_OK);
    CHECK_TEXT(found.payment->payment_id, paid.payment->payment_id);
    CHECK_INT(get(ctx, false, paid.payment->payment_id, &found), MESH_OK);
    CHECK_TEXT(found.payment->order_id, order_id);
    CHECK_INT(found.payment->amount_krw, 100000);
}

TEST(an_unknown_payment_is_not_found)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Payment__GetPaymentResponse found;

    CHECK_INT(get(ctx, true, mesh_new_id(ctx), &found), MESH_NOT_FOUND);
    CHECK_INT(get(ctx, false, mesh_new_id(ctx), &found), MESH_NOT_FOUND);
}

TEST_MAIN(setup, teardown)
