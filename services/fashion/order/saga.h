/* SPDX-License-Identifier: Apache-2.0 */
/* The order saga: what PlaceOrder, PayOrder, CancelOrder, the sweep and the inbox share. */
#ifndef ORDER_SAGA_H
#define ORDER_SAGA_H

#include "fashion/payment/v1/payment.mesh.h"
#include "order.h"
#include "service.h"

/* What stays of a caller's time while a peer is asked: to tell it that the peer does not answer. */
#define SAGA_ANSWER_MS 50

/*
 * Each may be repeated from any state, and any number of them may run on one order at once: every
 * step is keyed by the order id, every move is a compare-and-set, and the loser goes on with what
 * it finds. *order is replaced by what is stored now.
 */

/* Takes a RECEIVED order on: stock, money, PLACED (or PAYMENT_PENDING, or REJECTED). */
MESH_STATUS saga_advance(struct mesh_ctx *ctx, struct order_service *service, struct order **order);
/* Asks payment for a PAYMENT_PENDING order once more; it stays so if payment does not answer. */
MESH_STATUS saga_pay(struct mesh_ctx *ctx, struct order_service *service, struct order **order);
/* The same with an answer that is there already: paid_status as payment_pay() returned it. */
MESH_STATUS saga_settle(struct mesh_ctx *ctx, struct order_service *service, struct order **order,
                        enum mesh_status paid_status, const Payment__PayResponse *paid);
/* Settled against the order: RECEIVED or PAYMENT_PENDING becomes REJECTED, with OrderRejected. */
MESH_STATUS saga_reject(struct mesh_ctx *ctx, struct order_service *service, struct order **order,
                        const char *reason);
/* The same, but only if nobody has moved the order since it was read. */
MESH_STATUS saga_give_up(struct mesh_ctx *ctx, struct order_service *service, struct order **order,
                         const char *reason);
/* The event that belongs to the status that the order has reached as part of tx. */
MESH_STATUS saga_tell(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct order *order);
/* The outcome is not known to be recorded: the caller repeats, and the repeat finds its row. */
MESH_STATUS saga_fail_open(struct mesh_ctx *ctx);
/*
 * What the caller of PlaceOrder or PayOrder is told about the order: OK, with a pause in
 * *ret_retry_after while PAYMENT_PENDING (else NULL), or the stored refusal.
 */
MESH_STATUS saga_answer(struct mesh_ctx *ctx, const struct order_service *service,
                        const struct order *order, Order__Order **ret_order,
                        Google__Protobuf__Duration **ret_retry_after);

#endif
