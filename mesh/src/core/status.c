/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/status.h"

#include <stddef.h>

static const char *const names[] = {
    [MESH_OK] = "OK",
    [MESH_CANCELLED] = "CANCELLED",
    [MESH_UNKNOWN] = "UNKNOWN",
    [MESH_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [MESH_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [MESH_NOT_FOUND] = "NOT_FOUND",
    [MESH_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [MESH_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [MESH_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [MESH_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [MESH_ABORTED] = "ABORTED",
    [MESH_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [MESH_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [MESH_INTERNAL] = "INTERNAL",
    [MESH_UNAVAILABLE] = "UNAVAILABLE",
    [MESH_DATA_LOSS] = "DATA_LOSS",
    [MESH_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *mesh_status_name(enum mesh_status status)
{
    size_t i = (size_t)status;

    return i < sizeof(names) / sizeof(names[0]) ? names[i] : names[MESH_UNKNOWN];
}
