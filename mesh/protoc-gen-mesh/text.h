/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and text of the generator: nothing is freed before the process ends. */
#ifndef MESH_GEN_TEXT_H
#define MESH_GEN_TEXT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed; never NULL (out of memory ends the process). */
void *gen_alloc(size_t size);
/* The same memory for unpacked messages. */
ProtobufCAllocator *gen_allocator(void);
/* A formatted string. */
char *gen_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text that grows; all zero is the empty text. data may be NULL while size is 0. */
struct text {
    char *data;
    size_t size;
    size_t capacity;
};

/* The value of $name$ in a template. */
struct var {
    const char *name; /* NULL at the end of a list */
    const char *value;
};

void text_add(struct text *text, const char *bytes, size_t size);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends the template with every $name$ replaced; an unknown name is a bug and ends the process.
 */
void text_fill(struct text *text, const char *template, const struct var *vars);
/* The value as the inside of a C string literal. */
char *text_c_escape(const char *bytes, size_t size);
/* NUL-terminated, "" if empty. */
const char *text_string(const struct text *text);

#endif
