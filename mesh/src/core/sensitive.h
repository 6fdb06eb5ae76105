/* SPDX-License-Identifier: Apache-2.0 */
/* Which fields may not be shown. */
#ifndef MESH_CORE_SENSITIVE_H
#define MESH_CORE_SENSITIVE_H

#include "mesh/service.h"

#include <stdbool.h>

/* Whether the field of that proto name is marked. types ends with NULL; NULL: nothing is marked. */
bool mesh__is_sensitive(const struct mesh_sensitive_type *const *types,
                        const ProtobufCMessageDescriptor *message, const char *field);

#endif
