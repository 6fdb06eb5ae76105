/* SPDX-License-Identifier: Apache-2.0 */
/* Domain events: written to the outbox in the transaction that changes the aggregate. */
#ifndef MESH_EVENT_H
#define MESH_EVENT_H

#include "mesh/db.h"
#include "mesh/service.h"

/*
 * Writes the event to the outbox as part of tx; the relay publishes it after the commit, at least
 * once and in order per key. Its correlation id is its key. Services call the typed emitters. Call
 * it after the statement that locked the aggregate's row. MESH_INTERNAL if the envelope would be
 * larger than 256 KiB or the key is empty.
 */
MESH_STATUS mesh_emit(struct mesh_ctx *ctx, struct mesh_tx *tx, const struct mesh_event_type *type,
                      const ProtobufCMessage *event);

/*
 * Inside an event handler: the id (UUID) of the event being handled, and the time at which it
 * happened in microseconds since the Unix epoch. "" and 0 elsewhere.
 */
const char *mesh_ctx_event_id(const struct mesh_ctx *ctx);
int64_t mesh_ctx_event_time_us(const struct mesh_ctx *ctx);

#endif
