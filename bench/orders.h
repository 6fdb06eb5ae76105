/* SPDX-License-Identifier: Apache-2.0 */
/* Orders, placed one after the other. */
#ifndef BENCH_ORDERS_H
#define BENCH_ORDERS_H

#include "fashion/order/v1/order.mesh.h"
#include "load.h"

#define ORDERS_TIMEOUT_MS 10000
#define ORDERS_MAX_ARTICLES 100000

/* Puts the articles into the catalogue, with stock for all; those that are there stay. */
MESH_STATUS orders_register(struct mesh_ctx *ctx, const char *product_target, int articles);

struct orders {
    struct mesh_client *order;
    const char *customer_id;
    int articles;
};

/* Places an order for one piece of article number % articles. The response lives as long as ctx. */
MESH_STATUS orders_place(struct mesh_ctx *ctx, const struct orders *orders, int64_t number,
                         Order__PlaceOrderResponse **ret_response);
/* The same as a call of a load; arg is a struct orders. PAYMENT_PENDING is not complete. */
MESH_STATUS orders_call(void *arg, int client, int64_t number, bool *ret_complete);

#endif
