/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fatal.h"

#include "core/log_writer.h"
#include "mesh/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 1000

_Noreturn void mesh__fatal(const char *format, ...)
{
    char text[512]; /* on the stack: memory may be what is lacking */
    va_list args;

    va_start(args, format);
    if (vsnprintf(text, sizeof(text), format, args) < 0) {
        text[0] = '\0';
    }
    va_end(args);
    mesh__log_flush(PATIENCE_MS); /* so that there is room for it */
    mesh_log(MESH_LOG_ERROR, MESH_LOG_NO_FIELDS, "%s", text);
    mesh__log_flush(PATIENCE_MS);
    abort();
}

void *mesh__calloc(size_t n, size_t size)
{
    void *memory = calloc(n != 0 ? n : 1, size != 0 ? size : 1);

    if (memory == NULL) {
        mesh__fatal("out of memory: %zu times %zu bytes", n, size);
    }
    return memory;
}

void *mesh__reallocarray(void *memory, size_t n, size_t size)
{
    memory = reallocarray(memory, n, size);
    if (memory == NULL) {
        mesh__fatal("out of memory: %zu times %zu bytes", n, size);
    }
    return memory;
}

char *mesh__strdup(const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL) {
        mesh__fatal("out of memory: a string of %zu bytes", strlen(text));
    }
    return copy;
}
