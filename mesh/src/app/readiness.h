/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readiness: our own database, never the broker; shown on /readyz and as gRPC health. And a part of
 * liveness: our own port.
 */
#ifndef MESH_APP_READINESS_H
#define MESH_APP_READINESS_H

#include "mesh/db.h"

struct mesh__readiness;
struct mesh_server;

struct mesh__readiness *mesh__readiness_new(const char *service);
/* NULL is fine. */
void mesh__readiness_free(struct mesh__readiness *readiness);

/* Why the process is not ready, a string that lives for ever; NULL: it is ready. */
const char *mesh__readiness_reason(const struct mesh__readiness *readiness);
void mesh__readiness_set_reason(struct mesh__readiness *readiness, const char *reason);

/* Why the process is not alive and will not be again; NULL: it is alive. */
const char *mesh__readiness_dead(const struct mesh__readiness *readiness);

/*
 * Ready from now on; with a database (not NULL) it is pinged every second and the server's health
 * follows it. Every five seconds the server's port has to answer.
 */
void mesh__readiness_start(struct mesh__readiness *readiness, struct mesh_db *db,
                           struct mesh_server *server);
/* Ends the watch; the reason is left as it is. Fine if it was never started. */
void mesh__readiness_stop(struct mesh__readiness *readiness);

#endif
