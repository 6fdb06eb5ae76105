/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs between their 36 characters and their 16 bytes, and those that are made from names. */
#ifndef MESH_DB_UUID_H
#define MESH_DB_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_BYTES 16
#define UUID_CHARS 36

/* False, with ret_bytes undefined, unless text is 36 characters of a UUID. NULL is none. */
bool mesh__uuid_parse(const char *text, uint8_t ret_bytes[UUID_BYTES]);
/* Lower case, and a NUL. */
void mesh__uuid_format(const uint8_t bytes[UUID_BYTES], char ret_text[UUID_CHARS + 1]);
/* Version 5 (RFC 9562, section 5.5): the same for the same name in the same namespace. */
void mesh__uuid_v5(const uint8_t space[UUID_BYTES], const char *name,
                   char ret_text[UUID_CHARS + 1]);

#endif
