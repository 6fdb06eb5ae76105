/* SPDX-License-Identifier: Apache-2.0 */
/* What one policy.json says, as far as it can be checked without knowing anybody's methods. */
#ifndef MESH_POLICY_FILE_H
#define MESH_POLICY_FILE_H

#include "policy/fields.h"
#include "policy/reader.h"

/* Values that a part of the file sets; those that it does not set are zero. */
struct mesh__route_part {
    const char *from; /* "routes.pay": its place in the file */
    struct mesh__route_values values;
    bool set[MESH__N_ROUTE_VALUES];
};

struct mesh__destination_part {
    const char *from;
    struct mesh__destination_values values;
    bool set[MESH__N_DESTINATION_VALUES];
};

struct mesh__policy_route {
    struct mesh__route_part part;
    const char *service;
    const char *grpc_service;
    const char **methods;
    size_t n_methods; /* 0: it is for all */
};

struct mesh__policy_destination {
    struct mesh__destination_part part;
    const char *name;
};

struct mesh__policy_file {
    enum mesh__policy_mode mode;
    struct mesh__route_part route; /* defaults.route */
    struct mesh__destination_part destination;
    struct mesh__policy_route *routes;
    size_t n_routes;
    struct mesh__policy_destination *destinations;
    size_t n_destinations;
};

/* False with a sentence in reader->error. What is read lives in reader->arena. */
bool mesh__policy_file_read(struct mesh__policy_reader *reader, const char *text, size_t size,
                            struct mesh__policy_file *ret_file);

#endif
