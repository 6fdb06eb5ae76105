/* SPDX-License-Identifier: Apache-2.0 */
#include "product_test.h"

TEST(PX_4_an_event_of_an_order_that_never_was_leaves_a_row_that_holds_nothing)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    cancel_delivery(order_id); /* of a product that there is not either */
    CHECK_INT(state_of(order_id), RESERVATION_RELEASED);
    CHECK_INT(FIXTURE_INT64("select count(*) from reservations where order_id = $1 and "
                            "product_id is null and quantity = 0",
                            MESH_ARGS(mesh_uuid(order_id))),
              1);
}

TEST(FS_D_4_the_stock_of_a_rejected_order_comes_back_once)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "8000", 100);
    CHECK_INT(reserve(ctx, order_id, "8000", 2), MESH_OK);
    reject(order_id);
    CHECK_INT(stock_of("8000"), 100);
    reject(order_id);
    cancel_delivery(order_id);
    CHECK_INT(stock_of("8000"), 100);
}

TEST(FS_F_9_FS_X_9_a_cancelled_delivery_gives_back_what_this_service_knows_was_taken)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "8001", 100);
    CHECK_INT(reserve(ctx, order_id, "8001", 3), MESH_OK);
    cancel_delivery(order_id);
    cancel_delivery(order_id);
    CHECK_INT(stock_of("8001"), 100);
    CHECK_INT(stock_of("8000"), 100);
}

TEST(what_was_released_is_never_taken_again)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "8002", 100);
    CHECK_INT(reserve(ctx, order_id, "8002", 3), MESH_OK);
    reject(order_id);
    CHECK_INT(reserve(ctx, order_id, "8002", 3), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "RESERVATION_RELEASED");
    CHECK_INT(stock_of("8002"), 100);
}

TEST(a_rejection_that_overtakes_the_reservation_forbids_it)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "8003", 100);
    reject(order_id);
    reject(order_id);
    CHECK_INT(reserve(ctx, order_id, "8003", 3), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "RESERVATION_RELEASED");
    CHECK_INT(stock_of("8003"), 100);
}

/* The id of an order whose reservation of one piece is in the state. */
static const char *given_reservation(struct mesh_ctx *ctx, enum reservation_state state)
{
    const char *order_id = mesh_new_id(ctx);

    if (state == RESERVATION_REFUSED) {
        CHECK_INT(reserve(ctx, order_id, "8004", 11), MESH_FAILED_PRECONDITION);
    } else if (state != RESERVATION_NONE) {
        CHECK_INT(reserve(ctx, order_id, "8004", 1), MESH_OK);
    }
    if (state == RESERVATION_RELEASED) {
        reject(order_id);
    }
    return order_id;
}

TEST(every_pair_of_event_and_state_does_what_the_table_says)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    given_product(ctx, "8004", 10);
    for (int event = 0; event < (int)RESERVATION_N_EVENTS; event++) {
        for (int from = RESERVATION_NONE; from <= (int)RESERVATION_RELEASED; from++) {
            const char *order_id = given_reservation(ctx, (enum reservation_state)from);

            if (event == RESERVATION_ORDER_REJECTED) {
                reject(order_id);
            } else {
                cancel_delivery(order_id);
            }
            CHECK_INT(state_of(order_id), reservation_after((enum reservation_event)event,
                                                            (enum reservation_state)from));
            CHECK_INT(stock_of("8004"), 10);
        }
    }
}

TEST(a_release_is_told_once_if_wanted)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *order_id = mesh_new_id(ctx);

    given_product(ctx, "8006", 5);
    service.stock_events = true;
    CHECK_INT(reserve(ctx, order_id, "8006", 1), MESH_OK);
    reject(order_id);
    reject(order_id);
    service.stock_events = false;
    CHECK_INT(fixture_events("StockReleased", order_id), 1);
    CHECK_INT(stock_of("8006"), 5);
}

TEST_MAIN(setup, teardown)
