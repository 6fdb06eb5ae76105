/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 (RFC 3629) of foreign bytes: checking and repairing it. */
#ifndef MESH_CORE_UTF8_H
#define MESH_CORE_UTF8_H

#include <stddef.h>

#define MESH_UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* The size of the valid character at `at`, 1 to 4; 0 if the bytes there are not one. */
size_t mesh__utf8_step(const char *at, size_t size);
/* How many bytes from the start are valid UTF-8; size if all are. A NUL is a valid character. */
size_t mesh__utf8_valid(const char *text, size_t size);
/* The largest size <= max that does not cut a character of text in two. */
size_t mesh__utf8_cut(const char *text, size_t max);

#endif
