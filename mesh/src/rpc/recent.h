/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of what happened lately: a window of time in slices, as long as its owner says. */
#ifndef MESH_RPC_RECENT_H
#define MESH_RPC_RECENT_H

#include <stddef.h>
#include <stdint.h>

#define MESH__RECENT_SLICES 10 /* in a window */
#define MESH__RECENT_KINDS 3

/* Starts as {0}; its owner locks it. */
struct mesh__recent {
    struct {
        int64_t start_ns;
        int64_t counts[MESH__RECENT_KINDS];
    } slices[MESH__RECENT_SLICES + 1];
    size_t last; /* the newest */
};

/* Begins a slice if the newest one is over. Windows may differ from call to call. */
void mesh__recent_move(struct mesh__recent *recent, int64_t now_ns, int64_t window_ns);
/* Counts one in the newest slice. */
void mesh__recent_add(struct mesh__recent *recent, size_t kind);
/* Of the slices that lie inside of the window: never more than happened in it. */
int64_t mesh__recent_within(const struct mesh__recent *recent, int64_t now_ns, int64_t window_ns,
                            size_t kind);
/* Of the slices that reach into the window: never less than happened in it. */
int64_t mesh__recent_reaching(const struct mesh__recent *recent, int64_t now_ns, int64_t window_ns,
                              size_t kind);

#endif
