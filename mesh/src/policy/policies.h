/* SPDX-License-Identifier: Apache-2.0 */
/* The policy in force: read at start, replaced when its file changes. */
#ifndef MESH_POLICY_POLICIES_H
#define MESH_POLICY_POLICIES_H

#include "policy/policy.h"

struct mesh__policies;

/*
 * file NULL: the defaults, for ever. NULL with one sentence in error if the file is none. What the
 * options point to outlives it.
 */
struct mesh__policies *mesh__policies_new(const struct mesh__policy_options *options, char *error,
                                          size_t error_size);
/* This one, for ever; it takes over the caller's hold. */
struct mesh__policies *mesh__policies_fixed(struct mesh__policy *policy);
/* Starts the thread that waits for changes. A change that is refused leaves the policy as it is. */
void mesh__policies_start(struct mesh__policies *policies);
/* After the last call has ended; NULL is fine. */
void mesh__policies_free(struct mesh__policies *policies);

/* The one in force, to be released. */
struct mesh__policy *mesh__policies_take(struct mesh__policies *policies);

#endif
