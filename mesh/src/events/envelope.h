/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope of an event: CloudEvents 1.0 in its protobuf format, with fixed bounds. */
#ifndef MESH_EVENTS_ENVELOPE_H
#define MESH_EVENTS_ENVELOPE_H

#include "mesh/ctx.h"

#define MESH_ENVELOPE_MAX ((size_t)256 * 1024) /* bytes, envelope and payload together */
#define MESH_ENVELOPE_KEY_MAX 256              /* bytes of a key */

struct mesh__envelope {
    const char *id;             /* at most 128 bytes */
    const char *source;         /* "/fashion/order" */
    const char *type;           /* full name of the message */
    const char *subject;        /* the key */
    const char *correlation_id; /* NULL or "": none, here and below */
    const char *causation_id;
    const char *traceparent;
    int64_t time_us; /* since the Unix epoch; 0: none */
    bool has_version;
    int64_t version; /* of the aggregate */
    const uint8_t *payload;
    size_t payload_size;
};

/*
 * The bytes live as long as ctx. MESH_INTERNAL, with the reason: larger than MESH_ENVELOPE_MAX, or
 * an attribute that is too long or missing.
 */
MESH_STATUS mesh__envelope_encode(struct mesh_ctx *ctx, const struct mesh__envelope *envelope,
                                  const uint8_t **ret_bytes, size_t *ret_size);
/*
 * Safe for bytes of any origin: memory is bounded by their size. What the envelope points to lives
 * as long as ctx; texts are valid UTF-8, those that are absent are "". Attributes that we do not
 * know are ignored. MESH_INVALID_ARGUMENT with the reason.
 */
MESH_STATUS mesh__envelope_decode(struct mesh_ctx *ctx, const uint8_t *bytes, size_t size,
                                  struct mesh__envelope *ret_envelope);

#endif
