/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the product service have in common: requests, and what is in the tables. */
#ifndef PRODUCT_TEST_H
#define PRODUCT_TEST_H

#include "fixture.h"
#include "product_sql.h"
#include "reservation.h"
#include "service.h"
#include "stock.h"
#include "test.h"

static struct product_service service;

static int setup(void **state __attribute__((unused)))
{
    service.db = fixture_start("fashion-product", product_migrations);
    service.reserving = mesh_batcher_new("reserve_stock", stock_reserve, &service);
    return 0;
}

static int teardown(void **state __attribute__((unused)))
{
    mesh_batcher_free(service.reserving);
    fixture_stop();
    return 0;
}

/* A new id on the heap of ctx. */
static inline Product__RegisterProductRequest registration(struct mesh_ctx *ctx, const char *code,
                                                           const char *size, int64_t stock)
{
    Product__RegisterProductRequest request;

    product__register_product_request__init(&request);
    request.request_id = mesh_new_id(ctx);
    request.code = code;
    request.size = size;
    request.name = "Shirt";
    request.unit_price_krw = 50000;
    request.stock = stock;
    return request;
}

/* The id of a new product in size S. */
static inline const char *given_product(struct mesh_ctx *ctx, const char *code, int64_t stock)
{
    Product__RegisterProductRequest request = registration(ctx, code, "S", stock);
    Product__RegisterProductResponse response = PRODUCT__REGISTER_PRODUCT_RESPONSE__INIT;

    CHECK_INT(rpc_register_product(ctx, &service, &request, &response), MESH_OK);
    return response.product->product_id;
}

static inline int64_t stock_of(const char *code)
{
    return FIXTURE_INT64("select stock from products where code = $1 and size = 'S'",
                         MESH_ARGS(mesh_text(code)));
}

static inline int64_t version_of(const char *code)
{
    return FIXTURE_INT64("select version from products where code = $1 and size = 'S'",
                         MESH_ARGS(mesh_text(code)));
}

/* The request of one try; lives in ctx. */
static inline Product__ReserveStockRequest *
reservation_of(struct mesh_ctx *ctx, const char *order_id, const char *code, int64_t quantity)
{
    Product__ReserveStockRequest *request = mesh_alloc(ctx, sizeof(*request));

    product__reserve_stock_request__init(request);
    request->order_id = order_id;
    request->sku = mesh_alloc(ctx, sizeof(*request->sku));
    product__sku__init(request->sku);
    request->sku->code = code;
    request->sku->size = "S";
    request->quantity = quantity;
    return request;
}

static inline enum mesh_status reserve(struct mesh_ctx *ctx, const char *order_id, const char *code,
                                       int64_t quantity)
{
    Product__ReserveStockResponse response = PRODUCT__RESERVE_STOCK_RESPONSE__INIT;

    return rpc_reserve_stock(ctx, &service, reservation_of(ctx, order_id, code, quantity),
                             &response);
}

static inline enum mesh_status reject_in(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                         const char *order_id)
{
    Order__OrderRejected event = ORDER__ORDER_REJECTED__INIT;

    event.order_id = order_id;
    event.reason = "PAYMENT_DECLINED";
    event.payment_asked = true;
    event.version = 2;
    return on_order_rejected(ctx, &service, tx, &event);
}

/* A batch of events, again while it has to be, as the runtime does. */
static inline enum mesh_status reject_together(const char *const *order_ids, int n)
{
    enum mesh_status status;

    do {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        cleanup_tx struct mesh_tx *tx = NULL;

        CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
        for (int i = 0; i < n; i++) {
            CHECK_INT(reject_in(ctx, tx, order_ids[i]), MESH_OK);
        }
        status = mesh_tx_commit(ctx, &tx);
    } while (status == MESH_ABORTED);
    return status;
}

static inline void reject(const char *order_id)
{
    CHECK_INT(reject_together(&order_id, 1), MESH_OK);
}

/* Its fields say something else than was reserved: they must not matter. */
static inline void cancel_delivery(const char *order_id)
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

static inline int64_t state_of(const char *order_id)
{
    return FIXTURE_INT64("select state::bigint from reservations where order_id = $1",
                         MESH_ARGS(mesh_uuid(order_id)));
}

/* The article is locked until the transaction ends, which it is left to do by cleanup_tx. */
static inline struct mesh_tx *hold_article(struct mesh_ctx *ctx, const char *code)
{
    static const struct mesh_sql hold = {
        "hold", "select product_id from products where code = $1 for update"};
    struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &hold, MESH_ARGS(mesh_text(code)), &rows), MESH_OK);
    return tx;
}

/* Until so many statements wait for a lock. */
static inline void await_locks(int64_t n)
{
    while (FIXTURE_INT64("select count(*) from pg_locks where not granted", MESH_NO_ARGS) != n) {
    }
}

#endif
