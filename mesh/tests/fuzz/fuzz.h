/* SPDX-License-Identifier: Apache-2.0 */
/* What every fuzz target is: a function of foreign bytes that must not crash, hang, or leak. */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include "core/clock.h"
#include "core/ctx_impl.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Called for each input; always returns 0 (the interface of libFuzzer). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A context of a call that may hold 4 MiB. */
static inline struct mesh_ctx *fuzz_ctx(void)
{
    return mesh__ctx_new("fuzz", 4 << 20, MESH_NO_DEADLINE);
}

/* A copy that ends with a NUL, and with the block that it is in. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    MUST(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    return text;
}

#endif
