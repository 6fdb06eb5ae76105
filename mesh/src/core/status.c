/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/status.h"

#include <stddef.h>

static const struct {
    const char *name;
    const char *label;
} codes[] = {
    [MESH_OK] = {"OK", "OK"},
    [MESH_CANCELLED] = {"CANCELLED", "Canceled"},
    [MESH_UNKNOWN] = {"UNKNOWN", "Unknown"},
    [MESH_INVALID_ARGUMENT] = {"INVALID_ARGUMENT", "InvalidArgument"},
    [MESH_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", "DeadlineExceeded"},
    [MESH_NOT_FOUND] = {"NOT_FOUND", "NotFound"},
    [MESH_ALREADY_EXISTS] = {"ALREADY_EXISTS", "AlreadyExists"},
    [MESH_PERMISSION_DENIED] = {"PERMISSION_DENIED", "PermissionDenied"},
    [MESH_RESOURCE_EXHAUSTED] = {"RESOURCE_EXHAUSTED", "ResourceExhausted"},
    [MESH_FAILED_PRECONDITION] = {"FAILED_PRECONDITION", "FailedPrecondition"},
    [MESH_ABORTED] = {"ABORTED", "Aborted"},
    [MESH_OUT_OF_RANGE] = {"OUT_OF_RANGE", "OutOfRange"},
    [MESH_UNIMPLEMENTED] = {"UNIMPLEMENTED", "Unimplemented"},
    [MESH_INTERNAL] = {"INTERNAL", "Internal"},
    [MESH_UNAVAILABLE] = {"UNAVAILABLE", "Unavailable"},
    [MESH_DATA_LOSS] = {"DATA_LOSS", "DataLoss"},
    [MESH_UNAUTHENTICATED] = {"UNAUTHENTICATED", "Unauthenticated"},
};

static size_t index_of(enum mesh_status status)
{
    size_t i = (size_t)status;

    return i < sizeof(codes) / sizeof(codes[0]) ? i : MESH_UNKNOWN;
}

const char *mesh_status_name(enum mesh_status status)
{
    return codes[index_of(status)].name;
}

const char *mesh_status_label(enum mesh_status status)
{
    return codes[index_of(status)].label;
}
