/* SPDX-License-Identifier: Apache-2.0 */
/* Repeats of a write: telling the same request from another one under the same id (AIP-155). */
#ifndef MESH_IDEMPOTENCY_H
#define MESH_IDEMPOTENCY_H

#include "mesh/db.h"

#include <protobuf-c/protobuf-c.h>

#define MESH_DIGEST_SIZE 32

/*
 * SHA-256 of the request packed again without its field `request_id` and without unknown fields;
 * the order of a map's entries does not count. The same request has the same digest in every
 * version of a service that knows the same fields.
 */
void mesh_request_digest(struct mesh_ctx *ctx, const ProtobufCMessage *request,
                         uint8_t ret_digest[MESH_DIGEST_SIZE]);

/*
 * The request log: for writes that have no business key of their own to be found by. First in the
 * transaction: MESH_OK with *ret_seen false means that this request is new and its id is now taken.
 * With *ret_seen true the request was done before and `response` has been filled with its stored
 * answer. MESH_ALREADY_EXISTS: the id was used for a different request. A concurrent first try is
 * waited for.
 */
MESH_STATUS mesh_request_log_begin(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *request_id,
                                   const ProtobufCMessage *request, ProtobufCMessage *response,
                                   bool *ret_seen);
/* Bytes of an answer that is kept. */
#define MESH_REQUEST_LOG_MAX 65536
/*
 * Last in the same transaction: keeps the answer for repeats. MESH_INTERNAL if it has more than
 * MESH_REQUEST_LOG_MAX bytes: such a method needs a business key of its own.
 */
MESH_STATUS mesh_request_log_finish(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                    const char *request_id, const ProtobufCMessage *response);

/* The error for an id that was used before with another body: MESH_ALREADY_EXISTS, reason
 * REQUEST_ID_REUSED. */
MESH_STATUS mesh_fail_reused(struct mesh_ctx *ctx, const char *request_id);

#endif
