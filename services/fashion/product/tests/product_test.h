/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the product service have in common: requests, and what is in the tables. */
#ifndef PRODUCT_TEST_H
#define PRODUCT_TEST_H

#include "fixture.h"
#include "product_sql.h"
#include "reservation.h"
#include "service.h"
#include "test.h"

static struct product_service service;

static int setup(void **state __attribute__((unused)))
{
    service.db = fixture_start("fashion-product", product_migrations);
    return 0;
}

static int teardown(void **state __attribute__((unused)))
{
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

static inline Order__OrderRejected rejection_of(const char *order_id)
{
    Order__OrderRejected event = ORDER__ORDER_REJECTED__INIT;

    event.order_id = order_id;
    event.reason = "PAYMENT_DECLINED";
    event.payment_asked = true;
    event.version = 2;
    return event;
}

static inline void reject(const char *order_id)
{
    Order__OrderRejected event = rejection_of(order_id);

    HANDLE(on_order_rejected, &service, &event);
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

#endif
