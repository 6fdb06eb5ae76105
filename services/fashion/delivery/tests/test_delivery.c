/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery.h"
#include "test.h"

#define NONE DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_UNSPECIFIED
#define STARTED DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_STARTED
#define CANCELLED DELIVERY__DELIVERY_STATUS__DELIVERY_STATUS_CANCELLED

TEST(every_event_or_command_applies_or_does_nothing_in_every_status)
{
    static const Delivery__DeliveryStatus expected[DELIVERY_N_EVENTS][3] = {
        /* from NONE, STARTED, CANCELLED */
        [DELIVERY_ORDER_PLACED] = {STARTED, STARTED, CANCELLED},
        [DELIVERY_CANCEL] = {NONE, CANCELLED, CANCELLED},
        [DELIVERY_WITHDRAW] = {CANCELLED, CANCELLED, CANCELLED},
    };

    for (int event = 0; event < (int)DELIVERY_N_EVENTS; event++) {
        for (int status = NONE; status <= (int)CANCELLED; status++) {
            CHECK_INT(delivery_after((enum delivery_event)event, (Delivery__DeliveryStatus)status),
                      expected[event][status]);
        }
    }
}

TEST(a_status_of_a_newer_version_stays_as_it_is)
{
    for (int event = 0; event < (int)DELIVERY_N_EVENTS; event++) {
        CHECK_INT(delivery_after((enum delivery_event)event, (Delivery__DeliveryStatus)99), 99);
    }
}

TEST_MAIN(NULL, NULL)
