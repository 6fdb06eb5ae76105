/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, by OpenSSL. */
#ifndef MESH_DB_SHA256_H
#define MESH_DB_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_HEX_SIZE 65 /* 64 digits and a NUL */

void mesh__sha256(const void *bytes, size_t size, uint8_t ret_digest[SHA256_BYTES]);
void mesh__sha256_hex(const void *bytes, size_t size, char ret_hex[SHA256_HEX_SIZE]);

#endif
