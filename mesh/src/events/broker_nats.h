/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that know the library nats.c share; no others do. */
#ifndef MESH_EVENTS_BROKER_NATS_H
#define MESH_EVENTS_BROKER_NATS_H

#include "core/clock.h"
#include "events/broker.h"
#include "events/broker_handle.h"
#include "events/broker_pending.h"

#include <nats/nats.h>

#define NS_PER_US 1000

/* The next step of a chain that ends at its first failure. */
#define THEN(status, call) ((status) == NATS_OK ? (call) : (status))

struct broker_connection {
    struct broker_handle handle; /* first: its address is the connection's */
    struct broker_callbacks callbacks;
    natsConnection *nats;
    jsCtx *js;
    natsSubscription *deliveries;
    natsSubscription *pings;
    char inbox[BROKER_NAME_SIZE];
    struct broker_pending pending;
};

/* MESH_UNAVAILABLE, with what the library says. */
MESH_STATUS mesh__nats_failed(struct mesh_ctx *ctx, const char *what, natsStatus status);
/* "" if there is none. */
const char *mesh__nats_header(natsMsg *message, const char *key);

/* ---- broker_nats_stream.c: as in the table ---- */

MESH_STATUS mesh__nats_stream_ensure(struct mesh_ctx *ctx, struct broker_connection *connection,
                                     const struct broker_stream_config *config,
                                     struct broker_stream *ret_stream);
MESH_STATUS mesh__nats_stream_state(struct mesh_ctx *ctx, struct broker_connection *connection,
                                    const char *stream, struct broker_stream *ret_stream);
MESH_STATUS mesh__nats_message_identity(struct mesh_ctx *ctx, struct broker_connection *connection,
                                        const char *stream, uint64_t sequence,
                                        struct broker_identity *ret_identity);

#endif
