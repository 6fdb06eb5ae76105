/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers on the command line. */
#ifndef BENCH_ARGUMENT_H
#define BENCH_ARGUMENT_H

#include <stdlib.h>

/* The number, or 0 if text is none or not from 1 to max. */
static inline int argument_number(const char *text, int max)
{
    char *end;
    long number = strtol(text, &end, 10);

    return *text == '\0' || *end != '\0' || number < 1 || number > max ? 0 : (int)number;
}

#endif
