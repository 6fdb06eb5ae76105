/* SPDX-License-Identifier: Apache-2.0 */
/* What surrounds the saga, linked in place of mesh, the stubs and the store. */
#ifndef FAKE_SAGA_H
#define FAKE_SAGA_H

#include "fashion/payment/v1/payment.mesh.h"
#include "order.h"

struct fake_saga {
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
};
extern struct fake_saga fake;
/* The order that everything is about. */
extern struct order *fake_order;

#endif
