/* SPDX-License-Identifier: Apache-2.0 */
/* Making clients, for the runtime. */
#ifndef MESH_RPC_CLIENT_IMPL_H
#define MESH_RPC_CLIENT_IMPL_H

#include "mesh/client.h"
#include "policy/policies.h"

struct mesh__limit;
struct mesh__text;

struct mesh__client_options {
    const char *name;
    const char *target;              /* what mesh__resolver_new() takes, or a name of gRPC's own */
    struct mesh__policies *policies; /* they outlive the client */
    size_t index;                    /* of the destination in them */
    int64_t n_workers;               /* of this process: not all of them may wait for one peer */
    struct mesh__limit *waiting;     /* the limit of all destinations together; NULL: none */
};

struct mesh_client *mesh__client_new(const struct mesh__client_options *options);
/* Breakers, budget, limits and endpoints as they are now: a JSON object. */
void mesh__client_json(struct mesh_client *client, struct mesh__text *text);

/*
 * Each thread that makes calls has a queue of its own, made at its first call. A thread that ends
 * gives it back with this.
 */
void mesh__client_thread_done(void);

#endif
