/* SPDX-License-Identifier: Apache-2.0 */
/* Small files as people and Kubernetes put them there: read whole, never waited for. */
#ifndef MESH_CORE_FILE_H
#define MESH_CORE_FILE_H

#include "core/text.h"

#include <stdbool.h>

/*
 * Appends the content of a regular file of at most max bytes, which may hold any byte. False with a
 * clause in why, such as "No such file or directory"; ret_text then holds nothing of use.
 */
bool mesh__file_read(const char *path, size_t max, struct mesh__text *ret_text, char *why,
                     size_t why_size);

#endif
