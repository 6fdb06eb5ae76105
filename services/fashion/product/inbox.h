/* SPDX-License-Identifier: Apache-2.0 */
/* What all events that give stock back have in common. */
#ifndef PRODUCT_INBOX_H
#define PRODUCT_INBOX_H

#include "reservation.h"
#include "service.h"

/*
 * Does what reservation_after() says, from this service's own row of the order, before the commit
 * of tx. That is MESH_ABORTED if the order takes stock at this moment: the events come again.
 */
MESH_STATUS inbox_apply(struct mesh_ctx *ctx, struct product_service *service, struct mesh_tx *tx,
                        enum reservation_event event, const char *order_id);

#endif
