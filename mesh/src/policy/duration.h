/* SPDX-License-Identifier: Apache-2.0 */
/* Lengths of time as Istio and the JSON of protobuf write them. */
#ifndef MESH_POLICY_DURATION_H
#define MESH_POLICY_DURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESH__DURATION_SIZE 24

/* "500ms", "2s", "1.5s", "1m", "1h": one number, one unit, whole milliseconds. */
bool mesh__duration_parse(const char *text, int64_t *ret_ms);
/* "2s" or "500ms". Returns the buffer. */
const char *mesh__duration_print(int64_t ms, char ret_text[MESH__DURATION_SIZE]);

#endif
