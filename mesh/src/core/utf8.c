/* SPDX-License-Identifier: Apache-2.0 */
#include "core/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The size that the first byte of a character announces, and the bounds of its second byte. */
struct lead {
    size_t size; /* 0: no character starts so */
    unsigned char low, high;
};

static struct lead lead_of(unsigned char first)
{
    if (first < 0x80) {
        return (struct lead){1, 0, 0};
    }
    if (first >= 0xc2 && first <= 0xdf) {
        return (struct lead){2, 0x80, 0xbf};
    }
    if (first >= 0xe0 && first <= 0xef) { /* neither overlong nor a surrogate */
        return (struct lead){3, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf};
    }
    if (first >= 0xf0 && first <= 0xf4) { /* neither overlong nor beyond U+10FFFF */
        return (struct lead){4, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf};
    }
    return (struct lead){0, 0, 0};
}

static bool continues(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t mesh__utf8_step(const char *at, size_t size)
{
    struct lead lead;
    unsigned char bytes[4] = {0};

    if (size == 0) {
        return 0;
    }
    lead = lead_of((unsigned char)at[0]);
    if (lead.size <= 1) {
        return lead.size;
    }
    if (lead.size > size) {
        return 0;
    }
    memcpy(bytes, at, lead.size);
    if (bytes[1] < lead.low || bytes[1] > lead.high) {
        return 0;
    }
    for (size_t i = 2; i < lead.size; i++) {
        if (!continues(bytes[i])) {
            return 0;
        }
    }
    return lead.size;
}

size_t mesh__utf8_valid(const char *text, size_t size)
{
    size_t i = 0;

    while (i < size) {
        uint64_t word;
        size_t step;

        if (size - i >= sizeof(word)) { /* eight ASCII characters at once */
            memcpy(&word, text + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        step = mesh__utf8_step(text + i, size - i);
        if (step == 0) {
            break;
        }
        i += step;
    }
    return i;
}

size_t mesh__utf8_cut(const char *text, size_t max)
{
    size_t size = strnlen(text, max + 1);

    if (size <= max) {
        return size;
    }
    for (size_t back = 0; back < 4 && back < max; back++) {
        if (!continues((unsigned char)text[max - back])) {
            return max - back;
        }
    }
    return max; /* not UTF-8 at all */
}
