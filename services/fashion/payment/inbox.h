/* SPDX-License-Identifier: Apache-2.0 */
/* What all events that give money back have in common. */
#ifndef PAYMENT_INBOX_H
#define PAYMENT_INBOX_H

#include "payment.h"
#include "service.h"

/* Does what payment_after() says, to this service's own payment of the order. */
MESH_STATUS inbox_apply(struct mesh_ctx *ctx, struct mesh_tx *tx, enum payment_event event,
                        const char *order_id);

#endif
