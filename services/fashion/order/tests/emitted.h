/* SPDX-License-Identifier: Apache-2.0 */
/* What an event in the outbox says. */
#ifndef EMITTED_H
#define EMITTED_H

#include "core/guard.h"
#include "events/envelope.h"
#include "fixture.h"
#include "test.h"

/* The one event of that name and key, in ctx's memory. */
static inline const ProtobufCMessage *emitted(struct mesh_ctx *ctx,
                                              const ProtobufCMessageDescriptor *descriptor,
                                              const char *name, const char *key)
{
    static const struct mesh_sql sql = {
        "emitted", "select envelope from outbox where subject like '%.' || $1::text and key = $2"};
    struct mesh__envelope envelope;
    ProtobufCMessage *event;
    struct mesh_rows *rows;
    const uint8_t *bytes;
    size_t size;

    CHECK_INT(
        mesh_db_query(ctx, fixture_db(), &sql, MESH_ARGS(mesh_text(name), mesh_text(key)), &rows),
        MESH_OK);
    CHECK_INT(mesh_rows_count(rows), 1);
    bytes = mesh_row_bytes(rows, 0, 0, &size);
    CHECK_INT(mesh__envelope_decode(ctx, bytes, size, &envelope), MESH_OK);
    CHECK_TEXT(envelope.source, "/fashion/order");
    CHECK_TEXT(envelope.subject, key);
    CHECK_TEXT(envelope.correlation_id, key);
    CHECK_INT(mesh__unpack(ctx, descriptor, envelope.payload, envelope.payload_size, &event),
              MESH_OK);
    return event;
}
/* EMITTED(ctx, order__order_placed, "OrderPlaced", order_id) */
#define EMITTED(ctx, type, name, key) ((const void *)emitted(ctx, &type##__descriptor, name, key))

#endif
