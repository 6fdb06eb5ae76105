/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DIGITS "0123456789"
#define DIGITS_MAX 9

static int64_t number(const char *digits, size_t n)
{
    int64_t value = 0;

    for (size_t i = 0; i < n; i++) {
        value = value * 10 + (digits[i] - '0');
    }
    return value;
}

/* What a unit has in milliseconds; 0: it is none. */
static int64_t unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) == 0) {
            return units[i].ms;
        }
    }
    return 0;
}

bool mesh__duration_parse(const char *text, int64_t *ret_ms)
{
    static const int64_t scale[] = {0, 100, 10, 1};
    size_t whole = strspn(text, DIGITS);
    const char *rest = text + whole;
    int64_t ms = 0;

    if (whole == 0 || whole > DIGITS_MAX || (whole > 1 && text[0] == '0')) {
        return false;
    }
    if (*rest == '.') {
        size_t fraction = strspn(++rest, DIGITS);

        if (fraction == 0 || fraction > 3 || strcmp(rest + fraction, "s") != 0) {
            return false;
        }
        ms = number(rest, fraction) * scale[fraction];
        rest += fraction;
    }
    if (unit_ms(rest) == 0) {
        return false;
    }
    *ret_ms = number(text, whole) * unit_ms(rest) + ms;
    return true;
}

const char *mesh__duration_print(int64_t ms, char ret_text[MESH__DURATION_SIZE])
{
    bool seconds = ms % 1000 == 0;

    (void)snprintf(ret_text, MESH__DURATION_SIZE, "%" PRId64 "%s", seconds ? ms / 1000 : ms,
                   seconds ? "s" : "ms");
    return ret_text;
}
