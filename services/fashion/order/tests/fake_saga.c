/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_saga.h"

#include "fashion/product/v1/product.mesh.h"
#include "saga.h"
#include "store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* cmocka needs those above it. clang-format off keeps them there. */
/* clang-format off */
#include <cmocka.h>
/* clang-format on */

struct fake_saga fake;
struct order *fake_order;

MESH_STATUS product_reserve_stock(struct mesh_ctx *call, struct mesh_client *client,
                                  const Product__ReserveStockRequest *request,
                                  Product__ReserveStockResponse **ret_response)
{
    (void)client;
    assert_string_equal(request->order_id, fake_order->order_id);
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
    assert_int_equal(fake.n_asked, 1); /* never before it is noted that payment may be asked */
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
    **ret_order = *fake_order;
    (*ret_order)->status = fake.stored;
    return MESH_OK;
}

MESH_STATUS store_ask_payment(struct mesh_ctx *call, const struct order_service *unused,
                              struct order *asked, bool *ret_done)
{
    (void)call;
    (void)unused;
    assert_int_equal(asked->total_krw, 100000);
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
    assert_true(event->payment_id[0] != '\0');
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

MESH_STATUS order_emit_order_cancelled(struct mesh_ctx *call, struct mesh_tx *tx,
                                       const Order__OrderCancelled *event)
{
    (void)call;
    (void)tx;
    (void)event;
    fail_msg("no call cancels an order: delivery's event does");
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
