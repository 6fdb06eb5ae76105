/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sweep ends what nobody waits for any more. It has no leader: each replica claims due orders,
 * puts off their next try in the same statement, and then works on them, so that two never pay one
 * order at the same time and a crash only delays the next try. While a claim comes back full, the
 * next one follows at once.
 */
#include "saga.h"
#include "store.h"

#define CLAIM 64
#define PARALLEL 16 /* payments asked at the same time */

struct attempt {
    struct mesh_ctx *ctx;
    struct mesh_call *call;
    struct order *order;
};

static void start_payment(struct mesh_ctx *ctx, struct order_service *service, struct order *order,
                          struct attempt *ret_attempt)
{
    Payment__PayRequest request = PAYMENT__PAY_REQUEST__INIT;

    request.order_id = order->order_id;
    request.amount_krw = order->total_krw;
    ret_attempt->order = order;
    ret_attempt->ctx = mesh_ctx_fork(ctx);
    mesh_ctx_set_correlation_id(ret_attempt->ctx, order->order_id);
    ret_attempt->call = payment_pay_start(ret_attempt->ctx, service->payment, &request);
}

static void finish_payment(struct order_service *service, struct attempt *attempt)
{
    cleanup_ctx struct mesh_ctx *ctx = attempt->ctx;
    Payment__PayResponse *paid = NULL;
    enum mesh_status status = payment_pay_wait(ctx, attempt->call, &paid);

    /* Money may have moved, so the end of the service waits. What could not be recorded is due
     * again later. */
    mesh_ignore(saga_settle(mesh_ctx_closing(ctx), service, &attempt->order, status, paid));
}

static void pay_all(struct mesh_ctx *ctx, struct order_service *service, struct order **orders,
                    size_t n)
{
    struct attempt attempts[PARALLEL];

    for (size_t done = 0; done < n; done += PARALLEL) {
        size_t round = n - done < PARALLEL ? n - done : PARALLEL;

        for (size_t i = 0; i < round; i++) {
            start_payment(ctx, service, orders[done + i], &attempts[i]);
        }
        for (size_t i = 0; i < round; i++) {
            finish_payment(service, &attempts[i]);
        }
    }
}

static void reject(struct mesh_ctx *ctx, struct order_service *service, struct order *order,
                   const char *reason)
{
    cleanup_ctx struct mesh_ctx *own = mesh_ctx_fork(ctx);

    mesh_ctx_set_correlation_id(own, order->order_id);
    /* What could not be recorded is due again later. */
    mesh_ignore(saga_give_up(own, service, &order, reason));
}

MESH_STATUS sweep_run(struct mesh_ctx *ctx, void *state, bool *ret_more)
{
    struct order_service *service = state;
    struct order *payable[CLAIM];
    struct order_list due;
    size_t n_payable = 0;

    MESH_TRY(store_claim_due(ctx, service, CLAIM, &due));
    for (size_t i = 0; i < due.n; i++) {
        struct order *order = &due.orders[i];

        if (order->status == ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED) {
            reject(ctx, service, order, ORDER_ABANDONED);
        } else if (order->too_late) {
            reject(ctx, service, order, ORDER_PAY_WINDOW_PASSED);
        } else {
            payable[n_payable++] = order;
        }
    }
    pay_all(ctx, service, payable, n_payable);
    *ret_more = due.n == CLAIM;
    return MESH_OK;
}
