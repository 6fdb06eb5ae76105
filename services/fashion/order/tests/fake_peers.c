/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_peers.h"

#include "fashion/delivery/v1/delivery.mesh.h"
#include "fashion/payment/v1/payment.mesh.h"
#include "fashion/product/v1/product.mesh.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT 256

struct mesh_call {
    enum mesh_status status;
    const char *reason;
    const char *order_id;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static struct {
    struct {
        enum mesh_status status;
        const char *reason;
        void (*hook)(void *arg);
        void *arg;
        struct fake_asked asked;
    } rpcs[FAKE_N];
    char paid_orders[KEPT][MESH_UUID_SIZE];
    int under_way;
    int most_at_once;
    uint32_t random;          /* 0: nothing is random */
    enum mesh_status decided; /* about the one order; MESH_UNKNOWN: not yet */
} fake;

void fake_reset(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.decided = MESH_UNKNOWN;
}

void fake_answer(enum fake_rpc rpc, enum mesh_status status, const char *reason)
{
    fake.rpcs[rpc].status = status;
    fake.rpcs[rpc].reason = reason;
}

void fake_during(enum fake_rpc rpc, void (*hook)(void *arg), void *arg)
{
    fake.rpcs[rpc].hook = hook;
    fake.rpcs[rpc].arg = arg;
}

void fake_at_random(uint32_t seed)
{
    fake.random = seed * 2654435761U | 1;
}

struct fake_asked fake_asked(enum fake_rpc rpc)
{
    return fake.rpcs[rpc].asked;
}

const char *fake_paid_order(int i)
{
    return fake.paid_orders[i];
}

int fake_most_at_once(void)
{
    return fake.most_at_once;
}

static uint32_t one_of(uint32_t n)
{
    fake.random = fake.random * 1664525 + 1013904223;
    return (fake.random >> 16) % n;
}

/* A lost call, a lost answer, or what is decided. */
static enum mesh_status answer_at_random(enum fake_rpc rpc)
{
    if (one_of(4) == 0) {
        return MESH_UNAVAILABLE;
    }
    if (rpc == FAKE_PAY && fake.decided == MESH_UNKNOWN) {
        fake.decided = one_of(4) == 0 ? MESH_FAILED_PRECONDITION : MESH_OK;
    }
    if (one_of(4) == 0) {
        return MESH_DEADLINE_EXCEEDED;
    }
    return rpc == FAKE_PAY ? fake.decided : MESH_OK;
}

/* All that a peer is asked for belongs to its order. */
static void check_correlation(const struct mesh_ctx *ctx, const char *order_id)
{
    if (strcmp(mesh_ctx_correlation_id(ctx), order_id) != 0) {
        (void)fprintf(stderr, "a peer was asked for order %s in the name of \"%s\"\n", order_id,
                      mesh_ctx_correlation_id(ctx));
        abort();
    }
}

static void keep(enum fake_rpc rpc, const struct fake_asked *asked)
{
    int n = fake.rpcs[rpc].asked.n;

    if (rpc == FAKE_PAY && n < KEPT) {
        memcpy(fake.paid_orders[n], asked->order_id, MESH_UUID_SIZE);
    }
    fake.rpcs[rpc].asked = *asked;
    fake.rpcs[rpc].asked.n = n + 1;
}

static enum mesh_status receive(struct mesh_ctx *ctx, enum fake_rpc rpc, struct fake_asked asked,
                                const char **ret_reason)
{
    enum mesh_status status;
    void (*hook)(void *arg);
    void *arg;

    *ret_reason = NULL;
    if (mesh_ctx_cancelled(ctx)) {
        return MESH_CANCELLED;
    }
    asked.left_ms = mesh_ctx_remaining_ms(ctx);
    if (asked.left_ms == 0) {
        return MESH_DEADLINE_EXCEEDED;
    }
    check_correlation(ctx, asked.order_id);
    pthread_mutex_lock(&mutex);
    keep(rpc, &asked);
    hook = fake.rpcs[rpc].hook;
    arg = fake.rpcs[rpc].arg;
    fake.rpcs[rpc].hook = NULL;
    pthread_mutex_unlock(&mutex);
    if (hook != NULL) {
        hook(arg);
    }
    pthread_mutex_lock(&mutex);
    status = fake.random != 0 ? answer_at_random(rpc) : fake.rpcs[rpc].status;
    *ret_reason = fake.rpcs[rpc].reason;
    pthread_mutex_unlock(&mutex);
    return status;
}

static MESH_STATUS fail(struct mesh_ctx *ctx, enum mesh_status status, const char *reason)
{
    return mesh_fail_reason(ctx, status, reason == NULL ? "" : reason, "the peer says so");
}

static struct fake_asked asked_for(const char *order_id, const char *product_code, const char *size,
                                   int64_t quantity)
{
    struct fake_asked asked = {.quantity = quantity};

    (void)snprintf(asked.order_id, sizeof(asked.order_id), "%s", order_id);
    (void)snprintf(asked.product_code, sizeof(asked.product_code), "%s", product_code);
    (void)snprintf(asked.size, sizeof(asked.size), "%s", size);
    return asked;
}

MESH_STATUS product_reserve_stock(struct mesh_ctx *ctx,
                                  struct mesh_client *client __attribute__((unused)),
                                  const Product__ReserveStockRequest *request,
                                  Product__ReserveStockResponse **ret_response)
{
    struct fake_asked asked =
        asked_for(request->order_id, request->sku->code, request->sku->size, request->quantity);
    enum mesh_status status;
    const char *reason;

    asked.has_expected_total = product__reserve_stock_request_has_expected_total_krw(request);
    asked.expected_total_krw = request->expected_total_krw;
    status = receive(ctx, FAKE_RESERVE, asked, &reason);
    if (status != MESH_OK) {
        return fail(ctx, status, reason);
    }
    *ret_response = mesh_alloc(ctx, sizeof(**ret_response));
    product__reserve_stock_response__init(*ret_response);
    (*ret_response)->unit_price_krw = FAKE_UNIT_PRICE_KRW;
    (*ret_response)->total_krw = request->quantity * FAKE_UNIT_PRICE_KRW;
    return MESH_OK;
}

struct mesh_call *payment_pay_start(struct mesh_ctx *ctx,
                                    struct mesh_client *client __attribute__((unused)),
                                    const Payment__PayRequest *request)
{
    struct mesh_call *call = mesh_alloc(ctx, sizeof(*call));
    struct fake_asked asked = asked_for(request->order_id, "", "", 0);

    asked.amount_krw = request->amount_krw;
    call->order_id = mesh_strdup(ctx, request->order_id);
    call->status = receive(ctx, FAKE_PAY, asked, &call->reason);
    pthread_mutex_lock(&mutex);
    fake.under_way++;
    if (fake.under_way > fake.most_at_once) {
        fake.most_at_once = fake.under_way;
    }
    pthread_mutex_unlock(&mutex);
    return call;
}

MESH_STATUS payment_pay_wait(struct mesh_ctx *ctx, struct mesh_call *call,
                             Payment__PayResponse **ret_response)
{
    pthread_mutex_lock(&mutex);
    fake.under_way--;
    pthread_mutex_unlock(&mutex);
    if (call->status != MESH_OK) {
        return fail(ctx, call->status, call->reason);
    }
    *ret_response = mesh_alloc(ctx, sizeof(**ret_response));
    payment__pay_response__init(*ret_response);
    (*ret_response)->payment = mesh_alloc(ctx, sizeof(Payment__Payment));
    payment__payment__init((*ret_response)->payment);
    (*ret_response)->payment->payment_id = call->order_id; /* one payment per order */
    (*ret_response)->payment->status = PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_PAID;
    return MESH_OK;
}

MESH_STATUS payment_pay(struct mesh_ctx *ctx, struct mesh_client *client,
                        const Payment__PayRequest *request, Payment__PayResponse **ret_response)
{
    return payment_pay_wait(ctx, payment_pay_start(ctx, client, request), ret_response);
}

MESH_STATUS delivery_withdraw_order(struct mesh_ctx *ctx,
                                    struct mesh_client *client __attribute__((unused)),
                                    const Delivery__WithdrawOrderRequest *request,
                                    Delivery__WithdrawOrderResponse **ret_response)
{
    struct fake_asked asked =
        asked_for(request->order_id, request->product_code, request->size, request->quantity);
    const char *reason;
    enum mesh_status status = receive(ctx, FAKE_WITHDRAW, asked, &reason);

    if (status != MESH_OK) {
        return fail(ctx, status, reason);
    }
    *ret_response = mesh_alloc(ctx, sizeof(**ret_response));
    delivery__withdraw_order_response__init(*ret_response);
    return MESH_OK;
}
