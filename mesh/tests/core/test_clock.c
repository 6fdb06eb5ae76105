/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "fake_clock.h"
#include "test.h"

#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct mesh_clock *real;

static int setup(void **state)
{
    (void)state;
    real = mesh__clock;
    return 0;
}

TEST(the_clocks_of_the_kernel_run)
{
    int64_t before = mesh__now_ns();
    int64_t wall = mesh__clock->wall_us();

    while (mesh__now_ns() == before) {
    }
    CHECK(mesh__now_ns() > before);
    CHECK(wall > INT64_C(1700000000000000)); /* microseconds, after 2023 */
}

TEST(a_moment_ahead_is_bounded_by_the_range)
{
    mesh__clock = &fake_clock;
    fake_ns = 5000;
    CHECK(mesh__in_ms(2) == 2005000);
    CHECK(mesh__in_ms(0) == 5000);
    CHECK(mesh__in_ms(-1) == 5000 - MESH_NS_PER_MS);
    CHECK(mesh__in_ms(INT64_MAX) == MESH_NO_DEADLINE);
    CHECK(mesh__in_ms(INT64_MIN) == 0);
    fake_ns = MESH_NS_PER_MS; /* the product fits, the sum does not */
    CHECK(mesh__in_ms(INT64_MAX / MESH_NS_PER_MS) == MESH_NO_DEADLINE);
    mesh__clock = real;
}

TEST(random_bytes_do_not_repeat)
{
    static unsigned char pieces[1000][16];

    for (size_t i = 0; i < 1000; i++) {
        mesh__random(pieces[i], sizeof(pieces[i]));
        for (size_t j = 0; j < i; j++) {
            CHECK(memcmp(pieces[i], pieces[j], sizeof(pieces[i])) != 0);
        }
    }
}

TEST(more_than_is_kept_comes_from_the_kernel_directly)
{
    unsigned char large[5000] = {0};
    unsigned char last = 0;

    mesh__random(large, sizeof(large));
    for (size_t i = sizeof(large) - 32; i < sizeof(large); i++) {
        last |= large[i];
    }
    CHECK(last != 0);
}

TEST(another_table_takes_effect_at_once)
{
    unsigned char bytes[8];
    static const unsigned char sevens[8] = {7, 7, 7, 7, 7, 7, 7, 7};

    mesh__random(bytes, sizeof(bytes));
    mesh__clock = &fake_clock;
    fake_byte = 7;
    mesh__random(bytes, sizeof(bytes));
    CHECK(memcmp(bytes, sevens, sizeof(bytes)) == 0);
    mesh__clock = real;
    mesh__random(bytes, sizeof(bytes));
    CHECK(memcmp(bytes, sevens, sizeof(bytes)) != 0);
}

TEST(numbers_of_a_range_are_within_it_and_all_come)
{
    static const struct {
        int64_t low, high;
    } rows[] = {{0, 0},  {5, 5}, {0, 1},
                {-3, 3}, {0, 9}, {INT64_C(1) << 61, (INT64_C(1) << 61) + 2}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t size = rows[i].high - rows[i].low + 1;
        int64_t seen = 0;

        for (int draw = 0; draw < 1000; draw++) {
            int64_t number = mesh__random_between(rows[i].low, rows[i].high);

            CHECK(number >= rows[i].low && number <= rows[i].high);
            seen |= INT64_C(1) << (number - rows[i].low);
        }
        CHECK(seen == (INT64_C(1) << size) - 1); /* one in ten is missed once in 10^45 */
    }
}

TEST(a_child_process_draws_other_bytes)
{
    unsigned char mine[16];
    unsigned char theirs[16];
    int ends[2];
    pid_t pid;

    mesh__random(mine, sizeof(mine)); /* something is kept now */
    CHECK_INT(pipe(ends), 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        mesh__random(theirs, sizeof(theirs));
        _exit(write(ends[1], theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
    }
    mesh__random(mine, sizeof(mine));
    CHECK_INT(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
    CHECK_INT(waitpid(pid, NULL, 0), pid);
    CHECK(memcmp(mine, theirs, sizeof(mine)) != 0);
    close(ends[0]);
    close(ends[1]);
}

TEST_MAIN(setup, NULL)
