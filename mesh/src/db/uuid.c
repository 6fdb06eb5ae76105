/* SPDX-License-Identifier: Apache-2.0 */
#include "db/uuid.h"

#include <stddef.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool has_dash_before(int byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

bool mesh__uuid_parse(const char *text, uint8_t ret_bytes[UUID_BYTES])
{
    if (text == NULL) {
        return false;
    }
    for (int i = 0; i < UUID_BYTES; i++) {
        int high;
        int low;

        if (has_dash_before(i) && *text++ != '-') {
            return false;
        }
        high = digit(text[0]);
        low = high >= 0 ? digit(text[1]) : -1; /* never looks behind the end */
        if (low < 0) {
            return false;
        }
        ret_bytes[i] = (uint8_t)(high * 16 + low);
        text += 2;
    }
    return *text == '\0';
}

void mesh__uuid_format(const uint8_t bytes[UUID_BYTES], char ret_text[UUID_CHARS + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < UUID_BYTES; i++) {
        if (has_dash_before(i)) {
            *ret_text++ = '-';
        }
        *ret_text++ = digits[bytes[i] >> 4];
        *ret_text++ = digits[bytes[i] & 15];
    }
    *ret_text = '\0';
}
