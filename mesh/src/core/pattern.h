/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of contracts: what mesh_matches() does, with its work counted. */
#ifndef MESH_CORE_PATTERN_H
#define MESH_CORE_PATTERN_H

#include "mesh/validate.h"

/* Adds the steps that were followed to *steps: for each character at most pattern->n_steps, and as
 * many again for the end of the text. */
bool mesh__pattern_run(const struct mesh_pattern *pattern, const char *text, uint64_t *steps);

#endif
