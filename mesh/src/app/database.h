/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for a database that does not answer yet; a wrong one is an error. */
#ifndef MESH_APP_DATABASE_H
#define MESH_APP_DATABASE_H

#include "app/stop.h"
#include "mesh/ctx.h"

/*
 * Looks again and again, in growing pauses, while `look` fails with what may pass: at least once,
 * and then until until_ns or until the process is asked to stop. Each failure that is another one
 * than before is logged. ctx is begun anew with each look, and keeps the last failure; one that was
 * waited for in vain says for how long.
 */
MESH_STATUS mesh__database_wait(struct mesh_ctx *ctx, struct mesh__stop *stop, int64_t until_ns,
                                MESH_STATUS (*look)(struct mesh_ctx *ctx, void *arg), void *arg);

#endif
