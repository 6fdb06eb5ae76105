/* SPDX-License-Identifier: Apache-2.0 */
/* The wire guard: foreign bytes are checked before protobuf-c, which is no hardened decoder, sees
 * them. */
#ifndef MESH_CORE_GUARD_H
#define MESH_CORE_GUARD_H

#include "mesh/ctx.h"

#include <protobuf-c/protobuf-c.h>

#define MESH_GUARD_DEPTH 64
#define MESH_GUARD_ELEMENTS 65536 /* elements of all repeated fields of one message, together */

/*
 * MESH_INVALID_ARGUMENT (malformed, too deep, not UTF-8, NUL in a string, a singular message twice,
 * groups, wrong wire type) or MESH_RESOURCE_EXHAUSTED (too many elements), with the place in the
 * text. Allocates nothing but the text; recursion is bounded.
 */
MESH_STATUS mesh__guard(struct mesh_ctx *ctx, const ProtobufCMessageDescriptor *descriptor,
                        const uint8_t *bytes, size_t size);
/* Guard, then unpack into ctx's arena; beyond its cap MESH_RESOURCE_EXHAUSTED. */
MESH_STATUS mesh__unpack(struct mesh_ctx *ctx, const ProtobufCMessageDescriptor *descriptor,
                         const uint8_t *bytes, size_t size, ProtobufCMessage **ret_message);

#endif
