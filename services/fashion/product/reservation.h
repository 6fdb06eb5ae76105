/* SPDX-License-Identifier: Apache-2.0 */
/* What an order took from the stock, and its rules: pure, no SQL, no network, no clock. */
#ifndef PRODUCT_RESERVATION_H
#define PRODUCT_RESERVATION_H

#include "fashion/product/v1/product.mesh.h"
#include "fashion/product/v1/product_events.mesh.h"

/* The numbers are those of the table. */
enum reservation_state {
    RESERVATION_NONE,     /* no row */
    RESERVATION_RESERVED, /* the order holds stock */
    RESERVATION_REFUSED,  /* nothing was taken, reason tells why */
    RESERVATION_RELEASED  /* everything was given back, or nothing may be taken any more */
};

struct reservation {
    const char *order_id;
    const char *product_id; /* this and the rest are not set where nothing was ever asked for */
    const char *code;
    const char *size;
    int64_t quantity;
    bool has_expected_total;
    int64_t expected_total_krw;
    int64_t unit_price_krw;
    int64_t total_krw;
    enum reservation_state state;
    const char *reason; /* "" unless REFUSED */
    int64_t stock;      /* of the article, where it is locked */
};

struct reservation_list {
    struct reservation *reservations;
    size_t n;
};
/* All in ctx's memory. */
struct reservation *reservation_copy(struct mesh_ctx *ctx, const struct reservation *from);

/* What changes the stock of articles in one transaction: each article once. */
struct stock_change {
    const char *product_id;
    int64_t quantity; /* is added */
    int64_t stock;    /* after it */
};

struct stock_changes {
    struct stock_change *changes; /* sorted by product_id */
    size_t n;
};
/* NULL if there is none of this article. */
struct stock_change *stock_change_of(const struct stock_changes *changes, const char *product_id);

enum reservation_event {
    RESERVATION_ORDER_REJECTED,
    RESERVATION_DELIVERY_CANCELLED,
    RESERVATION_N_EVENTS
};
/* The state of a reservation after an event: the same if nothing happens. */
enum reservation_state reservation_after(enum reservation_event event,
                                         enum reservation_state state);

/*
 * Decides about an order that has no reservation, whose article is locked and has this stock: state
 * and reason are set, and what is left of the stock.
 */
void reservation_decide(struct reservation *reservation, int64_t stock);

/*
 * The answer to a request whose order has this reservation, the same for the first try and for
 * every repeat: MESH_OK, MESH_FAILED_PRECONDITION with the reason of the refusal or
 * RESERVATION_RELEASED, or MESH_ALREADY_EXISTS if something else was reserved for this order.
 */
MESH_STATUS reservation_check(struct mesh_ctx *ctx, const struct reservation *reservation,
                              const Product__ReserveStockRequest *request);

/* The events; strings are borrowed from reservation. */
void reservation_describe_reserved(const struct reservation *reservation,
                                   Product__StockReserved *ret_event);
void reservation_describe_released(const struct reservation *reservation,
                                   Product__StockReleased *ret_event);

#endif
