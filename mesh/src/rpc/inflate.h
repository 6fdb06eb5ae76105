/* SPDX-License-Identifier: Apache-2.0 */
/* Takes compressed messages apart, never beyond a given size: a small one may be a bomb. */
#ifndef MESH_RPC_INFLATE_H
#define MESH_RPC_INFLATE_H

#include "core/text.h"
#include "mesh/status.h"
#include "rpc/wire.h"

/*
 * Appends at most max bytes to *out (also on failure; free() its bytes). encoding is WIRE_DEFLATE
 * or WIRE_GZIP. MESH_RESOURCE_EXHAUSTED if there would be more, MESH_INVALID_ARGUMENT if it is not
 * one whole stream of that encoding.
 */
MESH_STATUS mesh__inflate(enum wire_encoding encoding, const uint8_t *bytes, size_t size,
                          size_t max, struct mesh__text *out);

#endif
