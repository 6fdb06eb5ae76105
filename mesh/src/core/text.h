/* SPDX-License-Identifier: Apache-2.0 */
/* A text that grows; out of memory ends the process. */
#ifndef MESH_CORE_TEXT_H
#define MESH_CORE_TEXT_H

#include <stddef.h>

/* Starts as {0}. bytes is NULL while it is empty, ends with a NUL afterwards and is freed by
 * free().
 */
struct mesh__text {
    char *bytes;
    size_t size; /* without the NUL */
    size_t room;
};

void mesh__text_add(struct mesh__text *text, const char *bytes, size_t size);
void mesh__text_adds(struct mesh__text *text, const char *string);
void mesh__text_printf(struct mesh__text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define MESH__SHOWN_SIZE 104

/* Makes foreign text fit into a sentence: no control characters, not long. Returns the buffer. */
const char *mesh__shown(const char *text, char ret_buffer[MESH__SHOWN_SIZE]);

#endif
