/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns: an automaton of any shape (a size, then three bytes a step), then the text. */
#include "core/pattern.h"
#include "fuzz.h"

#define STEPS_MAX 32

/* Takes the first byte away; 0 if there is none. */
static unsigned take(const uint8_t **data, size_t *size)
{
    if (*size == 0) {
        return 0;
    }
    (*size)--;
    return *(*data)++;
}

static const struct mesh_pattern_range ranges[] = {{'a', 'c'}, {'0', '9'}, {0x80, 0x10ffff}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mesh_pattern_step steps[STEPS_MAX];
    unsigned head = take(&data, &size);
    struct mesh_pattern pattern = {.steps = steps,
                                   .n_steps = (uint16_t)(1 + head % STEPS_MAX),
                                   .anchored = head >= 128,
                                   .ranges = ranges};
    uint64_t n = 0;
    char *text;

    for (size_t i = 0; i < pattern.n_steps; i++) {
        unsigned kind = take(&data, &size) % (MESH_PATTERN_END + 1);
        unsigned next = take(&data, &size) % pattern.n_steps;
        unsigned other = take(&data, &size);

        other %= kind == MESH_PATTERN_CHARACTER ? 3 : pattern.n_steps;
        steps[i] = (struct mesh_pattern_step){(uint8_t)kind, (uint16_t)next, (uint16_t)other,
                                              (uint16_t)(3 - other % 3)};
    }
    pattern.start = (uint16_t)(head / 2 % pattern.n_steps);
    text = fuzz_text(data, size);
    (void)mesh__pattern_run(&pattern, text, &n);
    MUST(n <= (strlen(text) + 1) * pattern.n_steps);
    free(text);
    return 0;
}
