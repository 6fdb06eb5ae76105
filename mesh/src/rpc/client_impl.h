/* SPDX-License-Identifier: Apache-2.0 */
/* Making clients, for the runtime. */
#ifndef MESH_RPC_CLIENT_IMPL_H
#define MESH_RPC_CLIENT_IMPL_H

#include "mesh/client.h"

/*
 * Each thread that makes calls has a queue of its own, made at its first call. A thread that ends
 * gives it back with this.
 */
void mesh__client_thread_done(void);

#endif
