/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE (1u << 20)

struct block {
    struct block *next;
    max_align_t data[];
};

/* Reachable until the end, so that no leak checker complains. */
static struct block *blocks;
static char *free_from;
static size_t free_size;

void *gen_alloc(size_t size)
{
    size_t rounded = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    void *memory;

    if (rounded > free_size) {
        size_t wanted = rounded > BLOCK_SIZE ? rounded : BLOCK_SIZE;
        struct block *block = calloc(1, sizeof(*block) + wanted);

        if (block == NULL) {
            abort();
        }
        block->next = blocks;
        blocks = block;
        free_from = (char *)block->data;
        free_size = wanted;
    }
    memory = free_from;
    free_from += rounded;
    free_size -= rounded;
    return memory;
}

static void *allocator_alloc(void *data __attribute__((unused)), size_t size)
{
    return gen_alloc(size);
}

static void allocator_free(void *data __attribute__((unused)), void *memory __attribute__((unused)))
{
}

ProtobufCAllocator *gen_allocator(void)
{
    static ProtobufCAllocator allocator = {allocator_alloc, allocator_free, NULL};

    return &allocator;
}

char *gen_printf(const char *format, ...)
{
    va_list arguments;
    char *text;
    int size;

    va_start(arguments, format);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0) {
        abort();
    }
    text = gen_alloc((size_t)size + 1);
    va_start(arguments, format);
    size = vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
    if (size < 0) {
        abort();
    }
    return text;
}

void text_add(struct text *text, const char *bytes, size_t size)
{
    if (text->capacity - text->size < size + 1) {
        size_t capacity = (text->size + size + 1) * 2;
        char *data = gen_alloc(capacity);

        if (text->size > 0) {
            memcpy(data, text->data, text->size);
        }
        text->data = data;
        text->capacity = capacity;
    }
    if (size > 0) {
        memcpy(text->data + text->size, bytes, size);
    }
    text->size += size;
    text->data[text->size] = '\0';
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list arguments;
    char *formatted;
    int size;

    va_start(arguments, format);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0) {
        abort();
    }
    formatted = gen_alloc((size_t)size + 1);
    va_start(arguments, format);
    size = vsnprintf(formatted, (size_t)size + 1, format, arguments);
    va_end(arguments);
    if (size < 0) {
        abort();
    }
    text_add(text, formatted, (size_t)size);
}

static const char *value_of(const char *name, size_t size, const struct var *vars)
{
    for (; vars->name != NULL; vars++) {
        if (strlen(vars->name) == size && memcmp(vars->name, name, size) == 0) {
            return vars->value;
        }
    }
    (void)fprintf(stderr, "protoc-gen-mesh: no value for $%.*s$\n", (int)size, name);
    abort();
}

void text_fill(struct text *text, const char *template, const struct var *vars)
{
    while (*template != '\0') {
        const char *dollar = strchr(template, '$');
        const char *end;
        const char *value;

        if (dollar == NULL) {
            text_add(text, template, strlen(template));
            return;
        }
        end = strchr(dollar + 1, '$');
        assert(end != NULL);
        text_add(text, template, (size_t)(dollar - template));
        value = value_of(dollar + 1, (size_t)(end - dollar - 1), vars);
        text_add(text, value, strlen(value));
        template = end + 1;
    }
}

char *text_c_escape(const char *bytes, size_t size)
{
    struct text escaped = {0};

    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];

        if (byte == '"' || byte == '\\') {
            text_printf(&escaped, "\\%c", byte);
        } else if (byte < 0x20 || byte >= 0x7f || byte == '?') {
            /* '?' for trigraphs */
            text_printf(&escaped, "\\%03o", byte);
        } else {
            text_printf(&escaped, "%c", byte);
        }
    }
    text_add(&escaped, "", 0);
    return escaped.data;
}

const char *text_string(const struct text *text)
{
    return text->size > 0 ? text->data : "";
}
