/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers for services. */
#ifndef MESH_ID_H
#define MESH_ID_H

#include "mesh/ctx.h"

#define MESH_UUID_SIZE 37 /* 36 characters and a NUL */

/* A new UUID version 7 (RFC 9562, section 5.7): its order is the order of creation, to the
 * millisecond. */
void mesh_uuid_v7(char ret_uuid[MESH_UUID_SIZE]);
/* The same, in ctx's memory. */
const char *mesh_new_id(struct mesh_ctx *ctx);

#endif
