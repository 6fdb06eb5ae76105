/* SPDX-License-Identifier: Apache-2.0 */
/* What all events of delivery have in common. */
#ifndef ORDER_INBOX_H
#define ORDER_INBOX_H

#include "order.h"
#include "service.h"

/* Moves the order as order_after() says, and tells it. MESH_ABORTED: somebody else moved it at the
 * same moment. */
MESH_STATUS inbox_apply(struct mesh_ctx *ctx, struct order_service *service, struct mesh_tx *tx,
                        enum order_event event, const char *order_id);

#endif
