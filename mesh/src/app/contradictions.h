/* SPDX-License-Identifier: Apache-2.0 */
/* Values that are right by themselves and cannot be had together. */
#ifndef MESH_APP_CONTRADICTIONS_H
#define MESH_APP_CONTRADICTIONS_H

#include "app/config.h"

/* False with one sentence in error that names both variables. needs: of what is to be run. */
bool mesh__config_agrees(const struct mesh__config *config, unsigned needs, char *error,
                         size_t error_size);

#endif
