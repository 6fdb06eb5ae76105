/* SPDX-License-Identifier: Apache-2.0 */
#include "core/parse.h"

#include <string.h>

bool mesh__parse_int64(const char *text, int64_t *ret_number)
{
    bool negative = text[0] == '-';
    const char *digit = text + (negative ? 1 : 0);
    int64_t number = 0;

    if (*digit == '\0') {
        return false;
    }
    for (; *digit != '\0'; digit++) {
        int64_t step = *digit - '0';

        if (step < 0 || step > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, negative ? -step : step, &number)) {
            return false;
        }
    }
    *ret_number = number;
    return true;
}

bool mesh__is_visible(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] <= ' ' || text[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

int mesh__find_choice(const char *choices, const char *text)
{
    size_t size = strlen(text);

    for (int i = 0; *choices != '\0'; i++) {
        size_t choice = strcspn(choices, "|");

        if (choice == size && memcmp(choices, text, size) == 0) {
            return i;
        }
        choices += choice + (choices[choice] == '|' ? 1 : 0);
    }
    return -1;
}

void mesh__list_choices(const char *choices, char *ret_text, size_t size)
{
    size_t used = 0;

    for (const char *c = choices; *c != '\0' && used + 5 < size; c++) {
        if (*c != '|') {
            ret_text[used++] = *c;
        } else if (strchr(c + 1, '|') == NULL) {
            memcpy(ret_text + used, " or ", 4);
            used += 4;
        } else {
            memcpy(ret_text + used, ", ", 2);
            used += 2;
        }
    }
    ret_text[used] = '\0';
}

bool mesh__parse_address(const char *text, int64_t min_port, char ret_host[MESH__HOST_SIZE],
                         int64_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t host_size;
    int64_t port;

    if (colon == NULL || !mesh__parse_int64(colon + 1, &port) || colon[1] == '-' ||
        port < min_port || port > 65535) {
        return false;
    }
    host_size = (size_t)(colon - text);
    if (host_size >= 2 && text[0] == '[' && text[host_size - 1] == ']') {
        host++;
        host_size -= 2;
    } else if (memchr(text, ':', host_size) != NULL) {
        return false; /* an IPv6 address without brackets: where it ends is a guess */
    }
    if (host_size == 0 || host_size >= MESH__HOST_SIZE || !mesh__is_visible(host, host_size)) {
        return false;
    }
    memcpy(ret_host, host, host_size);
    ret_host[host_size] = '\0';
    *ret_port = port;
    return true;
}
