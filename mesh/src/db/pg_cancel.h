/* SPDX-License-Identifier: Apache-2.0 */
/* A request to cancel, sent by a thread of its own, because libpq's call for it blocks. */
#ifndef MESH_DB_PG_CANCEL_H
#define MESH_DB_PG_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

struct pg_cancel;

/* Runs send(request) and, when that is over and nobody waits any more, release(request). */
struct pg_cancel *mesh__pg_cancel_new(void *request, void (*send)(void *request),
                                      void (*release)(void *request));
/* True once send has returned. */
bool mesh__pg_cancel_wait(struct pg_cancel *cancel, int64_t deadline_ns);
/* May come before send has returned. NULL is fine. */
void mesh__pg_cancel_free(struct pg_cancel *cancel);

#endif
