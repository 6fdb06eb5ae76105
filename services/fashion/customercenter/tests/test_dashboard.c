/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "dashboard.h"
#include "test.h"

#define ORDER(name) ORDER__ORDER_STATUS__ORDER_STATUS_##name
#define DELIVERY(name) DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_##name
#define PAYMENT(name) PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_##name

TEST(every_pair_of_statuses_is_shown_as_one)
{
    static const struct {
        Order__OrderStatus order;
        Delivery__DeliveryStatus delivery;
        Order__OrderStatus shown;
    } pairs[] = {
        {ORDER(UNSPECIFIED), DELIVERY(UNSPECIFIED), ORDER(UNSPECIFIED)},
        {ORDER(UNSPECIFIED), DELIVERY(STARTED), ORDER(SHIPPED)},
        {ORDER(UNSPECIFIED), DELIVERY(CANCELLED), ORDER(CANCELLED)},
        {ORDER(RECEIVED), DELIVERY(UNSPECIFIED), ORDER(RECEIVED)},
        {ORDER(RECEIVED), DELIVERY(STARTED), ORDER(SHIPPED)},
        {ORDER(RECEIVED), DELIVERY(CANCELLED), ORDER(CANCELLED)},
        {ORDER(PAYMENT_PENDING), DELIVERY(UNSPECIFIED), ORDER(PAYMENT_PENDING)},
        {ORDER(PAYMENT_PENDING), DELIVERY(STARTED), ORDER(SHIPPED)},
        {ORDER(PAYMENT_PENDING), DELIVERY(CANCELLED), ORDER(CANCELLED)},
        {ORDER(PLACED), DELIVERY(UNSPECIFIED), ORDER(PLACED)},
        {ORDER(PLACED), DELIVERY(STARTED), ORDER(SHIPPED)},
        {ORDER(PLACED), DELIVERY(CANCELLED), ORDER(CANCELLED)},
        {ORDER(SHIPPED), DELIVERY(UNSPECIFIED), ORDER(SHIPPED)},
        {ORDER(SHIPPED), DELIVERY(STARTED), ORDER(SHIPPED)},
        {ORDER(SHIPPED), DELIVERY(CANCELLED), ORDER(CANCELLED)},
        {ORDER(CANCELLED), DELIVERY(UNSPECIFIED), ORDER(CANCELLED)},
        {ORDER(CANCELLED), DELIVERY(STARTED), ORDER(CANCELLED)},
        {ORDER(CANCELLED), DELIVERY(CANCELLED), ORDER(CANCELLED)},
        {ORDER(REJECTED), DELIVERY(UNSPECIFIED), ORDER(REJECTED)},
        {ORDER(REJECTED), DELIVERY(STARTED), ORDER(REJECTED)},
        {ORDER(REJECTED), DELIVERY(CANCELLED), ORDER(REJECTED)},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        CHECK_INT(dashboard_order_status(pairs[i].order, pairs[i].delivery), pairs[i].shown);
    }
}

TEST(statuses_of_a_newer_version_are_shown_as_the_order_says)
{
    CHECK_INT(dashboard_order_status((Order__OrderStatus)99, DELIVERY(STARTED)), 99);
    CHECK_INT(dashboard_order_status(ORDER(PLACED), (Delivery__DeliveryStatus)99), ORDER(PLACED));
}

TEST(FS_F_6_FS_X_11_the_customer_sees_everything)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    struct dashboard dashboard = {.order_id = "o",
                                  .customer_id = "c",
                                  .product_code = "4000",
                                  .size = "S",
                                  .quantity = 2,
                                  .total_krw = 100000,
                                  .order_status = ORDER(PLACED),
                                  .reject_reason = "",
                                  .payment_status = PAYMENT(PAID),
                                  .payment_id = "p",
                                  .delivery_status = DELIVERY(STARTED),
                                  .delivery_id = "d",
                                  .updated_us = 1600000000123456};
    Customercenter__Dashboard *shown = dashboard_describe(ctx, &dashboard);

    CHECK_TEXT(shown->order_id, "o");
    CHECK_TEXT(shown->customer_id, "c");
    CHECK_TEXT(shown->product_code, "4000");
    CHECK_TEXT(shown->size, "S");
    CHECK_INT(shown->quantity, 2);
    CHECK_INT(shown->total_krw, 100000);
    CHECK_INT(shown->order_status, ORDER(SHIPPED));
    CHECK_INT(shown->payment_status, PAYMENT(PAID));
    CHECK_TEXT(shown->payment_id, "p");
    CHECK_INT(shown->delivery_status, DELIVERY(STARTED));
    CHECK_TEXT(shown->delivery_id, "d");
    CHECK_INT(shown->update_time->seconds, 1600000000);
    CHECK_INT(shown->update_time->nanos, 123456000);
}

TEST_MAIN(NULL, NULL)
