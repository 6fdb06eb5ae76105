/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text.h"

#include "core/fatal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for size more bytes and a NUL. */
static void make_room(struct mesh__text *text, size_t size)
{
    size_t room = text->room != 0 ? text->room : 128;
    char *bytes;

    while (room - text->size <= size) {
        if (room > (size_t)-1 / 2) {
            mesh__fatal("out of memory: a text");
        }
        room *= 2;
    }
    if (room == text->room) {
        return;
    }
    bytes = realloc(text->bytes, room);
    if (bytes == NULL) {
        mesh__fatal("out of memory: a text of %zu bytes", room);
    }
    text->bytes = bytes;
    text->room = room;
}

void mesh__text_add(struct mesh__text *text, const char *bytes, size_t size)
{
    make_room(text, size);
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = '\0';
}

void mesh__text_adds(struct mesh__text *text, const char *string)
{
    mesh__text_add(text, string, strlen(string));
}

void mesh__text_printf(struct mesh__text *text, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0) {
        mesh__fatal("the format \"%s\" cannot be written", format);
    }
    make_room(text, (size_t)size);
    va_start(args, format);
    size = vsnprintf(text->bytes + text->size, (size_t)size + 1, format, args);
    va_end(args);
    text->size += size > 0 ? (size_t)size : 0;
}

const char *mesh__shown(const char *text, char ret_buffer[MESH__SHOWN_SIZE])
{
    static const char ellipsis[] = "...";
    size_t max = MESH__SHOWN_SIZE - sizeof(ellipsis);
    size_t size = strnlen(text, max);

    for (size_t i = 0; i < size; i++) {
        ret_buffer[i] = text[i];
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
            ret_buffer[i] = '?';
        }
    }
    memcpy(ret_buffer + size, text[size] == '\0' ? "" : ellipsis, text[size] == '\0' ? 1 : 4);
    return ret_buffer;
}
