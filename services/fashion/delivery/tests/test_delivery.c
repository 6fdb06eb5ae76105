/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery.h"
#include "test.h"

#define NONE DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_UNSPECIFIED
#define STARTED DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_STARTED
#define CANCELLED DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_CANCELLED

TEST(every_pair_of_event_or_command_and_status_has_its_effect)
{
    static const struct {
        enum delivery_event event;
        Delivery__DeliveryStatus status;
        Delivery__DeliveryStatus after;
    } pairs[] = {
        {DELIVERY_ORDER_PLACED, NONE, STARTED},      {DELIVERY_ORDER_PLACED, STARTED, NONE},
        {DELIVERY_ORDER_PLACED, CANCELLED, NONE},    {DELIVERY_CANCEL, NONE, NONE},
        {DELIVERY_CANCEL, STARTED, CANCELLED},       {DELIVERY_CANCEL, CANCELLED, NONE},
        {DELIVERY_CANCEL_BY_ORDER, NONE, CANCELLED}, {DELIVERY_CANCEL_BY_ORDER, STARTED, CANCELLED},
        {DELIVERY_CANCEL_BY_ORDER, CANCELLED, NONE},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        CHECK_INT(delivery_after(pairs[i].event, pairs[i].status), pairs[i].after);
    }
}

TEST_MAIN(NULL, NULL)
