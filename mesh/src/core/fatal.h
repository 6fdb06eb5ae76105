/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the process for bugs and lack of memory, and allocation that needs no check. */
#ifndef MESH_CORE_FATAL_H
#define MESH_CORE_FATAL_H

#include <stddef.h>

/* Logs one line and aborts. For what only a bug in the program can cause. */
_Noreturn void mesh__fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* calloc(), reallocarray() and strdup() that end the process when the system is out of memory. */
void *mesh__calloc(size_t n, size_t size) __attribute__((returns_nonnull, malloc));
void *mesh__reallocarray(void *memory, size_t n, size_t size) __attribute__((returns_nonnull));
char *mesh__strdup(const char *text) __attribute__((returns_nonnull, malloc, nonnull(1)));

#endif
