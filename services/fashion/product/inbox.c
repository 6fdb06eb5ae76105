/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stock is given back for all events of a batch at its end, so that no article is locked while the
 * batch runs. It is done as ReserveStock takes it: articles are locked in their order, which also
 * keeps their reservations from everybody else, and then rows are inserted in theirs.
 */
#include "inbox.h"

#include "mesh/id.h"
#include "mesh/validate.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An order that is over, as an event says. */
struct over {
    enum reservation_event event;
    char order_id[MESH_UUID_SIZE];
};

struct overs {
    const struct over *overs;
    size_t n;
};

static struct order_ids all_ids(struct mesh_ctx *ctx, const struct overs *overs)
{
    struct order_ids orders = {mesh_alloc(ctx, overs->n * sizeof(*orders.ids)), overs->n};

    for (size_t i = 0; i < overs->n; i++) {
        orders.ids[i] = overs->overs[i].order_id;
    }
    return orders;
}

/* Without a look first: a ReserveStock under way is waited for, a later one finds these rows. */
static MESH_STATUS forbid_late_reservations(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                            const struct overs *overs)
{
    struct order_ids orders = {mesh_alloc(ctx, overs->n * sizeof(*orders.ids)), 0};

    for (size_t i = 0; i < overs->n; i++) {
        if (reservation_after(overs->overs[i].event, RESERVATION_NONE) == RESERVATION_RELEASED) {
            orders.ids[orders.n++] = overs->overs[i].order_id;
        }
    }
    return store_insert_tombstones(ctx, tx, &orders);
}

static int compare_order_id(const void *order_id, const void *reservation)
{
    return strcasecmp(order_id, ((const struct reservation *)reservation)->order_id);
}

/* Moves the reservations and adds up what comes back; *ret_released are those that moved. */
static MESH_STATUS release(struct mesh_ctx *ctx, const struct overs *overs,
                           const struct reservation_list *list, struct stock_changes *changes,
                           struct reservation_list *ret_released)
{
    ret_released->reservations = mesh_alloc(ctx, list->n * sizeof(struct reservation));
    ret_released->n = 0;
    for (size_t i = 0; i < overs->n; i++) {
        const struct over *over = &overs->overs[i];
        struct reservation *reservation = bsearch(over->order_id, list->reservations, list->n,
                                                  sizeof(*reservation), compare_order_id);
        struct stock_change *change;

        if (reservation == NULL ||
            reservation_after(over->event, reservation->state) == reservation->state) {
            continue;
        }
        change = stock_change_of(changes, reservation->product_id);
        if (change == NULL) {
            /* To lock it now would be out of order. The next try finds the reservation at once. */
            return mesh_fail(ctx, MESH_ABORTED, "stock for order %s was taken at this moment",
                             over->order_id);
        }
        change->quantity += reservation->quantity;
        reservation->state = RESERVATION_RELEASED;
        ret_released->reservations[ret_released->n++] = *reservation;
    }
    return MESH_OK;
}

static MESH_STATUS tell(struct mesh_ctx *ctx, struct mesh_tx *tx,
                        const struct reservation_list *released, struct stock_changes *changes)
{
    for (size_t i = 0; i < changes->n; i++) {
        changes->changes[i].stock -= changes->changes[i].quantity; /* as before all of them */
    }
    for (size_t i = 0; i < released->n; i++) {
        struct reservation *reservation = &released->reservations[i];
        struct stock_change *change = stock_change_of(changes, reservation->product_id);
        Product__StockReleased event;

        change->stock += reservation->quantity;
        reservation->stock = change->stock;
        /* The cause is the batch: its events are over. */
        mesh_ctx_set_correlation_id(ctx, reservation->order_id);
        reservation_describe_released(reservation, &event);
        MESH_TRY(product_emit_stock_released(ctx, tx, &event));
    }
    return MESH_OK;
}

static MESH_STATUS store(struct mesh_ctx *ctx, struct product_service *service, struct mesh_tx *tx,
                         const struct reservation_list *released, struct stock_changes *changes)
{
    struct order_ids orders = {mesh_alloc(ctx, released->n * sizeof(*orders.ids)), released->n};

    if (released->n == 0) {
        return MESH_OK;
    }
    for (size_t i = 0; i < released->n; i++) {
        orders.ids[i] = released->reservations[i].order_id;
    }
    MESH_TRY(store_release(ctx, tx, &orders));
    if (!service->stock_events) {
        return store_change_stock(ctx, tx, changes);
    }
    MESH_TRY(store_change_stock_counted(ctx, tx, changes));
    return tell(ctx, tx, released, changes);
}

static enum mesh_status give_back(struct mesh_ctx *ctx, struct mesh_tx *tx, void *service,
                                  const void *items, size_t n)
{
    struct overs overs = {items, n};
    struct order_ids orders = all_ids(ctx, &overs);
    struct stock_changes changes;
    struct reservation_list list;
    struct reservation_list released;

    MESH_TRY(store_lock_reserved_articles(ctx, tx, &orders, &changes));
    MESH_TRY(forbid_late_reservations(ctx, tx, &overs));
    MESH_TRY(store_get_reservations(ctx, tx, &orders, &list));
    MESH_TRY(release(ctx, &overs, &list, &changes, &released));
    return store(ctx, service, tx, &released, &changes);
}

MESH_STATUS inbox_apply(struct mesh_ctx *ctx, struct product_service *service, struct mesh_tx *tx,
                        enum reservation_event event, const char *order_id)
{
    static const struct mesh_tx_work work = {give_back, sizeof(struct over)};
    struct over over = {.event = event};

    if (!mesh_is_uuid(order_id)) {
        return mesh_fail(ctx, MESH_INVALID_ARGUMENT, "\"%s\" is no order id", order_id);
    }
    memcpy(over.order_id, order_id, sizeof(over.order_id));
    mesh_tx_before_commit(tx, &work, service, &over);
    return MESH_OK;
}
