/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pattern.h"
#include "test.h"

enum { AT_LEAST = 20, LONG = 100000 };

static const struct mesh_pattern_range ranges[] = {{'-', '-'}, {'0', '9'}, {'a', 'z'}};

/* ^[-0-9a-z]*[a-z][-0-9a-z]{20}$, which is alive in as many ways as it has steps. */
static struct mesh_pattern slug(struct mesh_pattern_step *steps)
{
    enum { END = 1, FIRST = 2, LETTER = FIRST + AT_LEAST, LOOP, ANY, BEGIN, N };

    steps[0] = (struct mesh_pattern_step){MESH_PATTERN_MATCHED, 0, 0, 0};
    steps[END] = (struct mesh_pattern_step){MESH_PATTERN_END, 0, 0, 0};
    for (int i = FIRST; i < LETTER; i++) {
        steps[i] = (struct mesh_pattern_step){MESH_PATTERN_CHARACTER, (uint16_t)(i - 1), 0, 3};
    }
    steps[LETTER] = (struct mesh_pattern_step){MESH_PATTERN_CHARACTER, LETTER - 1, 2, 1};
    steps[LOOP] = (struct mesh_pattern_step){MESH_PATTERN_EITHER, ANY, LETTER, 0};
    steps[ANY] = (struct mesh_pattern_step){MESH_PATTERN_CHARACTER, LOOP, 0, 3};
    steps[BEGIN] = (struct mesh_pattern_step){MESH_PATTERN_BEGIN, LOOP, 0, 0};
    return (struct mesh_pattern){steps, N, BEGIN, true, ranges};
}

TEST(the_work_is_bounded_by_the_length_of_text_and_pattern)
{
    struct mesh_pattern_step steps[64];
    const struct mesh_pattern pattern = slug(steps);
    static char text[LONG + 1];
    uint64_t n = 0;

    memset(text, 'a', LONG);
    CHECK(mesh__pattern_run(&pattern, text, &n));
    CHECK(n > (uint64_t)LONG * AT_LEAST); /* it did follow all ways */
    CHECK(n <= (uint64_t)(LONG + 1) * pattern.n_steps);
    n = 0;
    memset(text + LONG - AT_LEAST - 1, '1', AT_LEAST + 1);
    CHECK(!mesh__pattern_run(&pattern, text, &n));
    CHECK(n <= (uint64_t)(LONG + 1) * pattern.n_steps);
}

TEST(loops_inside_of_loops_are_no_more_work)
{
    /* ((a*)*)* */
    static const struct mesh_pattern_step steps[] = {
        {MESH_PATTERN_MATCHED, 0, 0, 0}, {MESH_PATTERN_END, 0, 0, 0},
        {MESH_PATTERN_EITHER, 3, 1, 0},  {MESH_PATTERN_EITHER, 4, 2, 0},
        {MESH_PATTERN_EITHER, 5, 3, 0},  {MESH_PATTERN_CHARACTER, 4, 2, 1},
        {MESH_PATTERN_BEGIN, 2, 0, 0},
    };
    const struct mesh_pattern pattern = {steps, 7, 6, true, ranges};
    static char text[LONG + 1];
    uint64_t n = 0;

    memset(text, 'a', LONG);
    CHECK(mesh__pattern_run(&pattern, text, &n));
    CHECK(n <= (uint64_t)(LONG + 1) * pattern.n_steps);
    n = 0;
    text[LONG - 1] = '!';
    CHECK(!mesh__pattern_run(&pattern, text, &n));
    CHECK(n <= (uint64_t)(LONG + 1) * pattern.n_steps);
}

/* [a-z][0-9], anywhere or at the beginning. */
static struct mesh_pattern letter_digit(bool anchored)
{
    static const struct mesh_pattern_step steps[] = {
        {MESH_PATTERN_MATCHED, 0, 0, 0},
        {MESH_PATTERN_CHARACTER, 0, 1, 1},
        {MESH_PATTERN_CHARACTER, 1, 2, 1},
        {MESH_PATTERN_BEGIN, 2, 0, 0},
    };

    return (struct mesh_pattern){steps, 4, anchored ? 3 : 2, anchored, ranges};
}

TEST(a_pattern_without_anchors_matches_anywhere)
{
    const struct mesh_pattern pattern = letter_digit(false);

    CHECK(mesh_matches(&pattern, "a1"));
    CHECK(mesh_matches(&pattern, "--a1--"));
    CHECK(mesh_matches(&pattern, "aa1"));
    CHECK(!mesh_matches(&pattern, ""));
    CHECK(!mesh_matches(&pattern, "a"));
    CHECK(!mesh_matches(&pattern, "1a"));
}

TEST(an_anchored_pattern_reads_no_further_than_it_has_to)
{
    const struct mesh_pattern pattern = letter_digit(true);
    static char text[LONG + 1];
    uint64_t n = 0;

    memset(text, 'a', LONG);
    CHECK(!mesh__pattern_run(&pattern, text, &n));
    CHECK(n <= 2 * (uint64_t)pattern.n_steps);
    CHECK(mesh_matches(&pattern, "a1"));
    CHECK(!mesh_matches(&pattern, "-a1"));
}

TEST(characters_are_not_bytes)
{
    static const struct mesh_pattern_step steps[] = {{MESH_PATTERN_MATCHED, 0, 0, 0},
                                                     {MESH_PATTERN_END, 0, 0, 0},
                                                     {MESH_PATTERN_CHARACTER, 1, 0, 2},
                                                     {MESH_PATTERN_BEGIN, 2, 0, 0}};
    static const struct mesh_pattern_range wide[] = {{0xe4, 0xe4}, {0x1f600, 0x1f64f}};
    const struct mesh_pattern pattern = {steps, 4, 3, true, wide};

    CHECK(mesh_matches(&pattern, "ä"));
    CHECK(mesh_matches(&pattern, "🙂"));
    CHECK(!mesh_matches(&pattern, "ö"));
    CHECK(!mesh_matches(&pattern, "\xe4")); /* not UTF-8: no character at all */
    CHECK(!mesh_matches(&pattern, "\xf0\x9f"));
}

TEST_MAIN(NULL, NULL)
