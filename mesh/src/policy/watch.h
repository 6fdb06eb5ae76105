/* SPDX-License-Identifier: Apache-2.0 */
/* Waits until something happens in the folder of a file. */
#ifndef MESH_POLICY_WATCH_H
#define MESH_POLICY_WATCH_H

#include <stdbool.h>

struct mesh__watch;

/* What happens from here on is not missed. */
struct mesh__watch *mesh__watch_new(const char *file);
void mesh__watch_free(struct mesh__watch *watch);

/* Until there is a reason to look; false: it was stopped. */
bool mesh__watch_wait(struct mesh__watch *watch);
/* So long, and what has happened until then is no further reason; false: it was stopped. */
bool mesh__watch_settle(struct mesh__watch *watch, int ms);
/* Ends the waiting, now and later. Thread-safe. */
void mesh__watch_stop(struct mesh__watch *watch);

#endif
