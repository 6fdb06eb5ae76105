/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order saga. The order row is its log: it is stored before anything moves elsewhere, and every
 * step can start again from any state. Nothing is undone here: a rejected order says so in an
 * event, and each service undoes its own part, by the order id.
 */
#include "saga.h"

#include "fashion/product/v1/product.mesh.h"
#include "mesh/time.h"
#include "store.h"

#define RETRY_AFTER_MS 1000
/* What stays of the caller's time to record the outcome once payment was asked. */
#define RECORD_MS 150

MESH_STATUS saga_fail_open(struct mesh_ctx *ctx)
{
    return mesh_fail_retry(ctx, RETRY_AFTER_MS,
                           "what became of the order is not known yet; repeat to find out");
}

static MESH_STATUS reload(struct mesh_ctx *ctx, struct order_service *service, struct order **order)
{
    struct order *found;

    if (store_get_order(ctx, service, (*order)->order_id, &found) != MESH_OK || found == NULL) {
        return saga_fail_open(ctx);
    }
    *order = found;
    return MESH_OK;
}

MESH_STATUS saga_tell(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct order *order)
{
    Order__OrderPlaced placed;
    Order__OrderPaymentPending pending;
    Order__OrderRejected rejected;
    Order__OrderCancelled cancelled;

    switch (order->status) {
    case ORDER__ORDER_STATUS__ORDER_STATUS_PLACED:
        order_describe_placed(order, &placed);
        return order_emit_order_placed(ctx, tx, &placed);
    case ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING:
        order_describe_pending(ctx, order, &pending);
        return order_emit_order_payment_pending(ctx, tx, &pending);
    case ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED:
        order_describe_rejected(order, &rejected);
        return order_emit_order_rejected(ctx, tx, &rejected);
    case ORDER__ORDER_STATUS__ORDER_STATUS_CANCELLED:
        order_describe_cancelled(order, &cancelled);
        return order_emit_order_cancelled(ctx, tx, &cancelled);
    case ORDER__ORDER_STATUS__ORDER_STATUS_SHIPPED:
        return MESH_OK; /* the event of the delivery says it */
    default:
        return mesh_fail(ctx, MESH_INTERNAL, "no event for order status %d", (int)order->status);
    }
}

/* One transaction: the status and its event. *ret_moved is false if somebody else was quicker. */
static MESH_STATUS try_move(struct mesh_ctx *ctx, struct order_service *service,
                            struct order *order, const struct order_move *move, bool *ret_moved)
{
    cleanup_tx struct mesh_tx *tx = NULL; /* rolls back unless committed */

    MESH_TRY(mesh_tx_begin(ctx, service->db, &tx));
    MESH_TRY(store_move_order(ctx, service, tx, order, move, ret_moved));
    if (!*ret_moved) {
        return MESH_OK;
    }
    MESH_TRY(saga_tell(ctx, tx, order));
    return mesh_tx_commit(ctx, &tx);
}

/* Moves once, from the status that *order was read with. */
static MESH_STATUS move(struct mesh_ctx *ctx, struct order_service *service, struct order **order,
                        const struct order_move *move_to)
{
    struct order moved = **order;
    bool done = false;

    if (try_move(ctx, service, &moved, move_to, &done) != MESH_OK) {
        return saga_fail_open(ctx);
    }
    if (!done) {
        return reload(ctx, service, order);
    }
    **order = moved;
    return MESH_OK;
}

/* The same for a matter that is settled: an order that meanwhile became PAYMENT_PENDING is moved
 * too. */
static MESH_STATUS settle(struct mesh_ctx *ctx, struct order_service *service, struct order **order,
                          const struct order_move *move_to)
{
    MESH_TRY(move(ctx, service, order, move_to));
    if ((*order)->status == ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING) {
        return move(ctx, service, order, move_to);
    }
    return MESH_OK;
}

MESH_STATUS saga_reject(struct mesh_ctx *ctx, struct order_service *service, struct order **order,
                        const char *reason)
{
    return settle(ctx, service, order,
                  &(struct order_move){.to = ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED,
                                       .reject_reason = reason});
}

MESH_STATUS saga_give_up(struct mesh_ctx *ctx, struct order_service *service, struct order **order,
                         const char *reason)
{
    return move(ctx, service, order,
                &(struct order_move){.to = ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED,
                                     .reject_reason = reason});
}

/* A peer's own answer: what the mesh refuses or gives up leaves the outcome open, whatever its
 * status. */
static bool is_refusal(const struct mesh_ctx *ctx, enum mesh_status status)
{
    return order_is_refusal(status) && !mesh_ctx_error_is_of_mesh(ctx);
}

/* The reason that a peer gave with its refusal, or one that says whose it was. */
static const char *refusal_reason(struct mesh_ctx *ctx, const char *otherwise)
{
    const char *reason = mesh_ctx_error_reason(ctx);

    return reason[0] == '\0' ? otherwise : mesh_strdup(ctx, reason);
}

static MESH_STATUS reserve_stock(struct mesh_ctx *ctx, struct order_service *service,
                                 struct order *order)
{
    Product__ReserveStockRequest request = PRODUCT__RESERVE_STOCK_REQUEST__INIT;
    Product__Sku sku = PRODUCT__SKU__INIT;
    Product__ReserveStockResponse *response; /* lives as long as ctx */

    sku.code = order->product_code;
    sku.size = order->size;
    request.order_id = order->order_id;
    request.sku = &sku;
    request.quantity = order->quantity;
    if (order->has_expected_total) {
        request._expected_total_krw_case =
            PRODUCT__RESERVE_STOCK_REQUEST___EXPECTED_TOTAL_KRW_EXPECTED_TOTAL_KRW;
        request.expected_total_krw = order->expected_total_krw;
    }
    MESH_TRY(product_reserve_stock(mesh_ctx_reserve(ctx, SAGA_ANSWER_MS), service->product,
                                   &request, &response));
    order->total_krw = response->total_krw;
    return MESH_OK;
}

static MESH_STATUS ask_payment(struct mesh_ctx *ctx, struct order_service *service,
                               const struct order *order, Payment__PayResponse **ret_response)
{
    Payment__PayRequest request = PAYMENT__PAY_REQUEST__INIT;

    request.order_id = order->order_id;
    request.amount_krw = order->total_krw;
    return payment_pay(mesh_ctx_reserve(ctx, RECORD_MS), service->payment, &request, ret_response);
}

/* What else payment may answer one day leaves the outcome open. */
static bool is_paid(const Payment__Payment *payment)
{
    return payment != NULL && payment->status == PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID;
}

MESH_STATUS saga_settle(struct mesh_ctx *ctx, struct order_service *service, struct order **order,
                        enum mesh_status paid_status, const Payment__PayResponse *paid)
{
    if (paid_status == MESH_OK && is_paid(paid->payment)) {
        return settle(ctx, service, order,
                      &(struct order_move){.to = ORDER__ORDER_STATUS__ORDER_STATUS_PLACED,
                                           .payment_id = paid->payment->payment_id});
    }
    if (is_refusal(ctx, paid_status)) {
        return saga_reject(ctx, service, order, refusal_reason(ctx, ORDER_PAYMENT_REFUSED));
    }
    if ((*order)->status == ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING) {
        return MESH_OK; /* it stays so; the sweep tries again */
    }
    return move(ctx, service, order,
                &(struct order_move){.to = ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING});
}

MESH_STATUS saga_pay(struct mesh_ctx *ctx, struct order_service *service, struct order **order)
{
    Payment__PayResponse *paid = NULL;
    enum mesh_status status = ask_payment(ctx, service, *order, &paid);

    /* Money may have moved: the caller can no longer stop us. */
    return saga_settle(mesh_ctx_closing(ctx), service, order, status, paid);
}

MESH_STATUS saga_advance(struct mesh_ctx *ctx, struct order_service *service, struct order **order)
{
    enum mesh_status status = reserve_stock(ctx, service, *order);
    bool asked;

    if (is_refusal(ctx, status)) {
        return saga_reject(ctx, service, order, refusal_reason(ctx, ORDER_STOCK_REFUSED));
    }
    if (status != MESH_OK) { /* outcome unknown: the row waits as RECEIVED */
        return mesh_fail_retry_peer(ctx, RETRY_AFTER_MS, "product does not answer");
    }
    if (store_ask_payment(ctx, service, *order, &asked) != MESH_OK) {
        return saga_fail_open(ctx);
    }
    if (!asked) { /* rejected or moved on meanwhile */
        return reload(ctx, service, order);
    }
    return saga_pay(ctx, service, order);
}

MESH_STATUS saga_answer(struct mesh_ctx *ctx, const struct order_service *service,
                        const struct order *order, Order__Order **ret_order,
                        Google__Protobuf__Duration **ret_retry_after)
{
    if (order->status == ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED) {
        return order_fail_rejected(ctx, order);
    }
    if (order->status == ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED) {
        return mesh_fail_retry(ctx, RETRY_AFTER_MS, "order %s is being placed", order->order_id);
    }
    *ret_order = order_describe(ctx, order);
    *ret_retry_after = NULL;
    if (order->status == ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING) {
        *ret_retry_after = mesh_duration(ctx, service->pay_retry_ms);
    }
    return MESH_OK;
}
