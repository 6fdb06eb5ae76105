/* SPDX-License-Identifier: Apache-2.0 */
/* The saga alone: peers, store and events are fakes; what is checked is who is asked for what, and
 * when. */
#include "fashion/product/v1/product.mesh.h"
#include "saga.h"
#include "store.h"
#include "test.h"

#include <stdio.h>

static struct {
    enum mesh_status reserve, pay;
    const char *reason;                /* ErrorInfo of a refusal */
    Order__OrderStatus stored;         /* what the table says */
    Order__OrderStatus moved_by_other; /* before our first move */
    enum mesh_status commit;
    Payment__PaymentStatus paid_status; /* what payment says when it answers OK */
    int n_reserve, n_pay, n_asked, n_moves;
    int n_placed, n_pending, n_rejected;
    int64_t paid_amount;
    bool rejected_payment_asked;
    char rejected_reason[64];
} fake;

static struct order_service service = {.pay_window_ms = 600000, .pay_retry_ms = 2000};
static struct mesh_ctx *ctx;
static struct order *order;

/* ---- fakes, linked in place of mesh, the stubs and the store ---- */

MESH_STATUS product_reserve_stock(struct mesh_ctx *call, struct mesh_client *client,
                                  const Product__ReserveStockRequest *request,
                                  Product__ReserveStockResponse **ret_response)
{
    (void)client;
    CHECK_TEXT(request->order_id, order->order_id);
    fake.n_reserve++;
    if (fake.reserve != MESH_OK) {
        return mesh_fail_reason(call, fake.reserve, fake.reason, "refused");
    }
    *ret_response = mesh_alloc(call, sizeof(**ret_response));
    product__reserve_stock_response__init(*ret_response);
    (*ret_response)->total_krw = 100000;
    return MESH_OK;
}

MESH_STATUS payment_pay(struct mesh_ctx *call, struct mesh_client *client,
                        const Payment__PayRequest *request, Payment__PayResponse **ret_response)
{
    (void)client;
    CHECK_INT(fake.n_asked, 1); /* never before it is noted that payment may be asked */
    fake.n_pay++;
    fake.paid_amount = request->amount_krw;
    if (fake.pay != MESH_OK) {
        return mesh_fail_reason(call, fake.pay, fake.reason, "not paid");
    }
    *ret_response = mesh_alloc(call, sizeof(**ret_response));
    payment__pay_response__init(*ret_response);
    (*ret_response)->payment = mesh_alloc(call, sizeof(Payment__Payment));
    payment__payment__init((*ret_response)->payment);
    (*ret_response)->payment->status = fake.paid_status;
    (*ret_response)->payment->payment_id = "0190c2a0-0000-7000-8000-0000000000aa";
    return MESH_OK;
}

MESH_STATUS store_get_order(struct mesh_ctx *call, const struct order_service *unused,
                            const char *order_id, struct order **ret_order)
{
    (void)unused;
    (void)order_id;
    *ret_order = mesh_alloc(call, sizeof(**ret_order));
    **ret_order = *order;
    (*ret_order)->status = fake.stored;
    return MESH_OK;
}

MESH_STATUS store_ask_payment(struct mesh_ctx *call, const struct order_service *unused,
                              struct order *asked, bool *ret_done)
{
    (void)call;
    (void)unused;
    CHECK_INT(asked->total_krw, 100000);
    *ret_done = fake.stored == ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED;
    fake.n_asked += *ret_done;
    asked->payment_asked = *ret_done;
    return MESH_OK;
}

MESH_STATUS mesh_tx_begin(struct mesh_ctx *call, struct mesh_db *db, struct mesh_tx **ret_tx)
{
    static char tx;

    (void)call;
    (void)db;
    *ret_tx = (struct mesh_tx *)(void *)&tx;
    return MESH_OK;
}

MESH_STATUS mesh_tx_commit(struct mesh_ctx *call, struct mesh_tx **tx)
{
    *tx = NULL;
    return fake.commit == MESH_OK ? MESH_OK : mesh_fail(call, fake.commit, "commit");
}

void mesh__cleanup_tx(struct mesh_tx **tx)
{
    *tx = NULL;
}

MESH_STATUS store_move_order(struct mesh_ctx *call, const struct order_service *unused,
                             struct mesh_tx *tx, struct order *moved, const struct order_move *move,
                             bool *ret_moved)
{
    (void)call;
    (void)unused;
    (void)tx;
    if (fake.n_moves++ == 0 &&
        fake.moved_by_other != ORDER__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED) {
        fake.stored = fake.moved_by_other;
    }
    *ret_moved = moved->status == fake.stored;
    if (*ret_moved) {
        moved->status = fake.stored = move->to;
        moved->payment_id = move->payment_id;
        moved->reject_reason = move->reject_reason == NULL ? "" : move->reject_reason;
    }
    return MESH_OK;
}

MESH_STATUS order_emit_order_placed(struct mesh_ctx *call, struct mesh_tx *tx,
                                    const Order__OrderPlaced *event)
{
    (void)call;
    (void)tx;
    CHECK(event->payment_id[0] != '\0');
    fake.n_placed++;
    return MESH_OK;
}

MESH_STATUS order_emit_order_payment_pending(struct mesh_ctx *call, struct mesh_tx *tx,
                                             const Order__OrderPaymentPending *event)
{
    (void)call;
    (void)tx;
    (void)event;
    fake.n_pending++;
    return MESH_OK;
}

MESH_STATUS order_emit_order_rejected(struct mesh_ctx *call, struct mesh_tx *tx,
                                      const Order__OrderRejected *event)
{
    (void)call;
    (void)tx;
    fake.n_rejected++;
    fake.rejected_payment_asked = event->payment_asked;
    (void)snprintf(fake.rejected_reason, sizeof(fake.rejected_reason), "%s", event->reason);
    return MESH_OK;
}

/* ---- cases ---- */

static void begin(Order__OrderStatus status)
{
    memset(&fake, 0, sizeof(fake));
    fake.reason = "BECAUSE";
    fake.paid_status = PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID;
    fake.stored = status;
    mesh__cleanup_ctx(&ctx);
    ctx = mesh_ctx_background(5000);
    order = mesh_alloc(ctx, sizeof(*order));
    order->order_id = "0190c2a0-0000-7000-8000-000000000001";
    order->customer_id = "customer";
    order->product_code = "4000";
    order->size = "S";
    order->quantity = 2;
    order->status = status;
    order->reject_reason = "";
}

TEST(an_order_takes_stock_then_money_then_is_placed)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    CHECK_INT(saga_advance(ctx, &service, &order), MESH_OK);
    CHECK_INT(order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PLACED);
    CHECK_INT(fake.n_reserve + fake.n_pay + fake.n_placed, 3);
    CHECK_INT(fake.paid_amount, 100000);
}

TEST(refused_stock_rejects_the_order_and_payment_is_never_asked)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.reserve = MESH_FAILED_PRECONDITION;
    CHECK_INT(saga_advance(ctx, &service, &order), MESH_OK);
    CHECK_INT(order->status, ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED);
    CHECK_TEXT(fake.rejected_reason, "BECAUSE");
    CHECK(!fake.rejected_payment_asked);
    CHECK_INT(fake.n_pay, 0);
}

TEST(unreachable_product_leaves_the_order_received_and_asks_to_repeat)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.reserve = MESH_UNAVAILABLE;
    CHECK_INT(saga_advance(ctx, &service, &order), MESH_UNAVAILABLE);
    CHECK(mesh_ctx_error_retry_ms(ctx) > 0);
    CHECK_INT(fake.stored, ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    CHECK_INT(fake.n_moves + fake.n_pay + fake.n_rejected, 0);
}

TEST(declined_payment_rejects_the_order)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.pay = MESH_FAILED_PRECONDITION;
    CHECK_INT(saga_advance(ctx, &service, &order), MESH_OK);
    CHECK_INT(order->status, ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED);
    CHECK(fake.rejected_payment_asked);
    CHECK_INT(fake.n_placed, 0);
}

TEST(payment_that_does_not_answer_leaves_the_order_pending)
{
    static const enum mesh_status unknown[] = {
        MESH_UNAVAILABLE, MESH_DEADLINE_EXCEEDED,  MESH_INTERNAL, MESH_UNKNOWN,
        MESH_CANCELLED,   MESH_RESOURCE_EXHAUSTED, MESH_ABORTED,  MESH_UNIMPLEMENTED};

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
        fake.pay = unknown[i];
        CHECK_INT(saga_advance(ctx, &service, &order), MESH_OK);
        CHECK_INT(order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
        CHECK(fake.n_pending == 1 && fake.n_placed == 0 && fake.n_rejected == 0);
    }
}

TEST(an_answer_of_payment_that_does_not_say_paid_places_nothing)
{
    for (int status = PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_UNSPECIFIED;
         status <= PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_REJECTED; status++) {
        begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
        fake.paid_status = (Payment__PaymentStatus)status;
        CHECK_INT(saga_advance(ctx, &service, &order), MESH_OK);
        CHECK_INT(fake.n_placed, status == PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID);
        CHECK_INT(fake.n_pending, status != PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID);
    }
}

TEST(without_time_for_payment_it_is_not_asked_and_the_order_waits)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.pay = MESH_DEADLINE_EXCEEDED; /* what the stub answers without sending */
    CHECK_INT(saga_advance(mesh_ctx_timeout(ctx, 50), &service, &order), MESH_OK);
    CHECK_INT(order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
}

TEST(an_order_rejected_meanwhile_is_not_paid)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.stored = ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED; /* the sweep was quicker */
    CHECK_INT(saga_advance(ctx, &service, &order), MESH_OK);
    CHECK_INT(order->status, ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED);
    CHECK_INT(fake.n_pay, 0);
}

TEST(the_loser_of_a_race_answers_from_what_it_finds)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.moved_by_other = ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED;
    CHECK_INT(saga_advance(ctx, &service, &order), MESH_OK);
    CHECK_INT(order->status, ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED);
    CHECK_INT(fake.n_placed, 0);
}

TEST(a_paid_order_that_became_pending_meanwhile_is_placed)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.moved_by_other = ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING;
    CHECK_INT(saga_advance(ctx, &service, &order), MESH_OK);
    CHECK_INT(order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PLACED);
    CHECK_INT(fake.n_placed, 1);
}

TEST(a_commit_of_unknown_outcome_is_never_told_as_a_refusal)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.commit = MESH_UNKNOWN;
    CHECK_INT(saga_advance(ctx, &service, &order), MESH_UNAVAILABLE);
    CHECK(mesh_ctx_error_retry_ms(ctx) > 0);
}

TEST(a_pending_order_whose_payment_is_still_away_stays_pending)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
    fake.n_asked = 1;
    fake.pay = MESH_UNAVAILABLE;
    CHECK_INT(saga_pay(ctx, &service, &order), MESH_OK);
    CHECK_INT(order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
    CHECK_INT(fake.n_moves, 0);
}

TEST(giving_up_never_rejects_an_order_that_somebody_moved)
{
    begin(ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED);
    fake.moved_by_other = ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING;
    CHECK_INT(saga_give_up(ctx, &service, &order, "ABANDONED"), MESH_OK);
    CHECK_INT(order->status, ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
    CHECK_INT(fake.n_rejected, 0);
}

TEST(a_rejected_order_answers_its_stored_reason)
{
    Order__Order *described = NULL;
    Google__Protobuf__Duration *pause = NULL;

    begin(ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED);
    order->reject_reason = "INSUFFICIENT_STOCK";
    CHECK_INT(saga_answer(ctx, &service, order, &described, &pause), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "INSUFFICIENT_STOCK");
    CHECK(described == NULL);
}

TEST(a_pending_order_answers_ok_with_a_pause)
{
    Order__Order *described = NULL;
    Google__Protobuf__Duration *pause = NULL;

    begin(ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING);
    CHECK_INT(saga_answer(ctx, &service, order, &described, &pause), MESH_OK);
    CHECK_INT(pause->seconds, 2);
}

TEST_MAIN(NULL, NULL)
