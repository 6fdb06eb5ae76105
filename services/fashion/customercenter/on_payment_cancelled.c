/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include "store.h"

MESH_STATUS on_payment_cancelled(struct mesh_ctx *ctx, struct customercenter_service *service,
                                 struct mesh_tx *tx, const Payment__PaymentCancelled *event)
{
    struct part_news news = {.order_id = event->order_id,
                             .id = event->payment_id,
                             .status = PAYMENT__PAYMENT_STATUS__PAYMENT_STATUS_CANCELLED,
                             .version = event->version};

    mesh_signal_raise_after_commit(service->changed, tx);
    return store_put_payment(ctx, tx, &news);
}
