/* SPDX-License-Identifier: Apache-2.0 */
/* From what a file says to what every method of every peer gets. */
#ifndef MESH_POLICY_RESOLVE_H
#define MESH_POLICY_RESOLVE_H

#include "policy/file.h"

/* The row of a table that a member of the struct with its values is. */
#define ROW_OF(values, member) (offsetof(struct values, member) / sizeof(int64_t))
#define ROW(member) ROW_OF(mesh__route_values, member)

/* Whether the route has it among its methods. */
bool mesh__policy_route_names(const struct mesh__policy_route *route, const char *method);

/* Whether the times of the part, with what it leaves open, fit into each other. */
bool mesh__policy_check_times(struct mesh__policy_reader *reader,
                              const struct mesh__policy_file *file,
                              const struct mesh__route_part *part);
/* Whether routes fit together, and to the methods of the peers. */
bool mesh__policy_check(struct mesh__policy_reader *reader, const struct mesh__policy_file *file,
                        const struct mesh_peer *peers);

/* Everything of one peer; false with a sentence. Lives in the reader's arena. */
bool mesh__policy_resolve(struct mesh__policy_reader *reader, const struct mesh__policy_file *file,
                          const struct mesh_peer *peer,
                          struct mesh__destination_policy *ret_destination);

#endif
