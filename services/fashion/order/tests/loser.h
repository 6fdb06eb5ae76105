/* SPDX-License-Identifier: Apache-2.0 */
/* Makes somebody lose a compare-and-set: its order is moved between its look and its move. */
#ifndef LOSER_H
#define LOSER_H

#include "order_test.h"

#include <pthread.h>
#include <stdio.h>

struct loser {
    const char *order_id;
    enum mesh_status (*run)(struct mesh_ctx *ctx, const char *order_id);
    /* What came of it. */
    enum mesh_status status;
    char reason[64];
    int64_t retry_ms;
};

static inline void *lose(void *arg)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct loser *loser = arg;

    loser->status = loser->run(ctx, loser->order_id);
    (void)snprintf(loser->reason, sizeof(loser->reason), "%s", mesh_ctx_error_reason(ctx));
    loser->retry_ms = mesh_ctx_error_retry_ms(ctx);
    return NULL;
}

/* Lets it run, in a thread, until it waits for a row that tx has changed; then commits. */
static inline void run_into(struct mesh_ctx *ctx, struct mesh_tx **tx, struct loser *ret_loser)
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, lose, ret_loser), 0);
    fixture_await_lock(NULL);
    CHECK_INT(mesh_tx_commit(ctx, tx), MESH_OK);
    CHECK_INT(pthread_join(thread, NULL), 0);
}

/* Moves the order after the loser's look at it and before its move. */
static inline void lose_to(struct mesh_ctx *ctx, const struct order_move *move,
                           struct loser *ret_loser)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    bool moved;

    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    CHECK_INT(store_move_order(ctx, &service, tx, stored(ctx, ret_loser->order_id), move, &moved),
              MESH_OK);
    CHECK(moved);
    run_into(ctx, &tx, ret_loser);
}

#define TO_REJECTED(why) (&(struct order_move){.to = STATUS(REJECTED), .reject_reason = (why)})
#define TO_PENDING (&(struct order_move){.to = STATUS(PAYMENT_PENDING)})
#define TO_CANCELLED (&(struct order_move){.to = STATUS(CANCELLED)})
#define TO_PLACED                                                                                  \
    (&(struct order_move){.to = STATUS(PLACED),                                                    \
                          .payment_id = "0190c2a0-0000-7000-8000-0000000000aa"})

#endif
