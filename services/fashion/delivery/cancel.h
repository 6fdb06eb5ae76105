/* SPDX-License-Identifier: Apache-2.0 */
/* What CancelDelivery and WithdrawOrder have in common. */
#ifndef DELIVERY_CANCEL_H
#define DELIVERY_CANCEL_H

#include "delivery.h"
#include "mesh/db.h"

/* Does to a locked delivery what delivery_after() says of the command, and tells it. */
MESH_STATUS cancel_delivery(struct mesh_ctx *ctx, struct mesh_tx *tx, enum delivery_event command,
                            struct delivery *delivery);
/* Tells payment, stock and order that they may follow. */
MESH_STATUS cancel_tell(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct delivery *delivery);

#endif
