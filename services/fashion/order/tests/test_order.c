/* SPDX-License-Identifier: Apache-2.0 */
/* The rules: every pair of event and status, and which answers settle a matter. */
#include "order.h"
#include "test.h"

#define UNSPECIFIED ORDER__ORDER_STATUS__ORDER_STATUS_UNSPECIFIED
#define RECEIVED ORDER__ORDER_STATUS__ORDER_STATUS_RECEIVED
#define PENDING ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING
#define PLACED ORDER__ORDER_STATUS__ORDER_STATUS_PLACED
#define SHIPPED ORDER__ORDER_STATUS__ORDER_STATUS_SHIPPED
#define CANCELLED ORDER__ORDER_STATUS__ORDER_STATUS_CANCELLED
#define REJECTED ORDER__ORDER_STATUS__ORDER_STATUS_REJECTED

TEST(every_event_in_every_status_moves_the_order_or_does_nothing)
{
    static const struct {
        enum order_event event;
        Order__OrderStatus from, to;
    } table[] = {
        {ORDER_EVENT_DELIVERY_STARTED, RECEIVED, UNSPECIFIED},
        {ORDER_EVENT_DELIVERY_STARTED, PENDING, UNSPECIFIED},
        {ORDER_EVENT_DELIVERY_STARTED, PLACED, SHIPPED},
        {ORDER_EVENT_DELIVERY_STARTED, SHIPPED, UNSPECIFIED},
        {ORDER_EVENT_DELIVERY_STARTED, CANCELLED, UNSPECIFIED},
        {ORDER_EVENT_DELIVERY_STARTED, REJECTED, UNSPECIFIED},
        {ORDER_EVENT_DELIVERY_CANCELLED, RECEIVED, UNSPECIFIED},
        {ORDER_EVENT_DELIVERY_CANCELLED, PENDING, UNSPECIFIED},
        {ORDER_EVENT_DELIVERY_CANCELLED, PLACED, CANCELLED},
        {ORDER_EVENT_DELIVERY_CANCELLED, SHIPPED, CANCELLED},
        {ORDER_EVENT_DELIVERY_CANCELLED, CANCELLED, UNSPECIFIED},
        {ORDER_EVENT_DELIVERY_CANCELLED, REJECTED, UNSPECIFIED},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CHECK_INT(order_after(table[i].event, table[i].from), table[i].to);
    }
}

TEST(only_a_settled_answer_is_a_refusal)
{
    static const bool refusal[17] = {
        [MESH_INVALID_ARGUMENT] = true,    [MESH_NOT_FOUND] = true,    [MESH_ALREADY_EXISTS] = true,
        [MESH_FAILED_PRECONDITION] = true, [MESH_OUT_OF_RANGE] = true,
    };

    for (int status = MESH_OK; status <= MESH_UNAUTHENTICATED; status++) {
        CHECK_INT(order_is_refusal((enum mesh_status)status), refusal[status]);
    }
}

TEST_MAIN(NULL, NULL)
