/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and addresses as people write them. */
#ifndef MESH_CORE_PARSE_H
#define MESH_CORE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESH__HOST_SIZE 256

/* Decimal digits with an optional minus, nothing else, in range. */
bool mesh__parse_int64(const char *text, int64_t *ret_number);
/* Whether there are neither blanks nor control characters. */
bool mesh__is_visible(const char *text, size_t size);
/* Which word of "a|b|c" text is; -1: none. */
int mesh__find_choice(const char *choices, const char *text);
/* "a|b|c" as "a, b or c". */
void mesh__list_choices(const char *choices, char *ret_text, size_t size);
/* "host:port" or "[ipv6]:port"; min_port is 0 or 1. */
bool mesh__parse_address(const char *text, int64_t min_port, char ret_host[MESH__HOST_SIZE],
                         int64_t *ret_port);

#endif
