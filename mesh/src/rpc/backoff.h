/* SPDX-License-Identifier: Apache-2.0 */
/* The pause before a retry. */
#ifndef MESH_RPC_BACKOFF_H
#define MESH_RPC_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define MESH__BACKOFF_MAX 10 /* times the base */
/* The trailer by which a peer says when to come again, or not at all. */
#define MESH__PUSHBACK "grpc-retry-pushback-ms"
#define MESH__PUSHBACK_MAX_MS 100000 /* the longest pause of our own */

/* Of one call; starts with its base alone. */
struct mesh__backoff {
    int64_t base_ms;
    int64_t times; /* the base, for the next pause; 0: once */
};

/* Any time from nothing to the base; to the double, and so on, the next time. */
int64_t mesh__backoff_ns(struct mesh__backoff *backoff);
/*
 * The pause that the peer's trailer asks for; then those of our own begin again. False: it asks for
 * no retry, as it does by a negative number, by what is none, and by a time that no worker can
 * wait.
 */
bool mesh__backoff_pushback(struct mesh__backoff *backoff, const char *value, int64_t *ret_ns);

#endif
