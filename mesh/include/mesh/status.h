/* SPDX-License-Identifier: Apache-2.0 */
/* The one error type of cmesh: the gRPC status codes, must-use, with the text kept in the context.
 */
#ifndef MESH_STATUS_H
#define MESH_STATUS_H

/*
 * Equal in number and meaning to the gRPC status codes
 * (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md).
 */
enum mesh_status {
    MESH_OK = 0,
    MESH_CANCELLED = 1,
    MESH_UNKNOWN = 2,
    MESH_INVALID_ARGUMENT = 3,
    MESH_DEADLINE_EXCEEDED = 4,
    MESH_NOT_FOUND = 5,
    MESH_ALREADY_EXISTS = 6,
    MESH_PERMISSION_DENIED = 7,
    MESH_RESOURCE_EXHAUSTED = 8,
    MESH_FAILED_PRECONDITION = 9,
    MESH_ABORTED = 10,
    MESH_OUT_OF_RANGE = 11,
    MESH_UNIMPLEMENTED = 12,
    MESH_INTERNAL = 13,
    MESH_UNAVAILABLE = 14,
    MESH_DATA_LOSS = 15,
    MESH_UNAUTHENTICATED = 16
};

/* The return type of everything that can fail: the compiler complains when a status is dropped. */
#define MESH_STATUS __attribute__((warn_unused_result)) enum mesh_status

/* Leaves the calling function with the status of `call` unless it is MESH_OK. The only such macro.
 */
#define MESH_TRY(call)                                                                             \
    do {                                                                                           \
        enum mesh_status try_status_ = (call);                                                     \
        if (try_status_ != MESH_OK) {                                                              \
            return try_status_;                                                                    \
        }                                                                                          \
    } while (0)

/* Drops a status on purpose; say why in a comment beside it. */
#define mesh_ignore(call)                                                                          \
    do {                                                                                           \
        enum mesh_status ignored_status_ = (call);                                                 \
        (void)ignored_status_;                                                                     \
    } while (0)

/* The canonical name, such as "NOT_FOUND"; "UNKNOWN" for a number that is no gRPC code. */
const char *mesh_status_name(enum mesh_status status);
/* The name as gRPC's metrics have it, such as "NotFound" ("Canceled" has one l); "Unknown" for a
 * number that is no gRPC code. */
const char *mesh_status_label(enum mesh_status status);

#endif
