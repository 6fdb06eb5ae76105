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

TEST(every_event_applies_or_does_nothing_in_every_status)
{
    static const Order__OrderStatus expected[ORDER_N_EVENTS][REJECTED + 1] = {
        [ORDER_DELIVERY_STARTED] = {UNSPECIFIED, RECEIVED, PENDING, SHIPPED, SHIPPED, CANCELLED,
                                    REJECTED},
        [ORDER_DELIVERY_CANCELLED] = {UNSPECIFIED, REJECTED, REJECTED, CANCELLED, CANCELLED,
                                      CANCELLED, REJECTED},
    };

    for (int event = 0; event < (int)ORDER_N_EVENTS; event++) {
        for (int status = UNSPECIFIED; status <= (int)REJECTED; status++) {
            CHECK_INT(order_after((enum order_event)event, (Order__OrderStatus)status),
                      expected[event][status]);
        }
    }
}

TEST(a_status_of_a_newer_version_stays_as_it_is)
{
    for (int event = 0; event < (int)ORDER_N_EVENTS; event++) {
        CHECK_INT(order_after((enum order_event)event, (Order__OrderStatus)99), 99);
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
