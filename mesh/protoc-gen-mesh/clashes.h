/* SPDX-License-Identifier: Apache-2.0 */
/* Names that would be defined twice in C although they differ in the contracts. */
#ifndef MESH_GEN_CLASHES_H
#define MESH_GEN_CLASHES_H

#include "model.h"

/* Problems for every name in C that two places of the contracts lead to. */
void refuse_clashes(const struct model *model);

#endif
