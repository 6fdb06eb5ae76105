/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "db/migration_plan.h"
#include "test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mesh_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    return 0;
}

static const struct mesh_migration three[] = {{"0001_a", "select 1;"},
                                              {"0002_b", "-- x\n-- compatible_from: 0\nselect 2;"},
                                              {"0003_c", "select 3;"},
                                              {NULL, NULL}};

/* A plan for the first n_known, with the first n_applied of three applied unchanged. */
static struct migration_plan plan_of(int64_t n_known, int64_t n_applied)
{
    struct applied_migration *applied = mesh_alloc(ctx, 3 * sizeof(*applied));
    struct migration_plan plan = {.applied = applied, .n_applied = n_applied};

    mesh__migrations_read(ctx, three, &plan.known, &plan.n_known);
    for (int64_t i = 0; i < 3; i++) {
        applied[i] = (struct applied_migration){plan.known[i].number, plan.known[i].compatible_from,
                                                plan.known[i].checksum, plan.known[i].name};
    }
    plan.n_known = n_known;
    return plan;
}

TEST(numbers_and_compatibility_are_read_from_the_files)
{
    struct migration_plan plan = plan_of(3, 0);

    CHECK_INT(plan.known[0].number, 1);
    CHECK_INT(plan.known[0].compatible_from, 0);
    CHECK_INT(plan.known[1].compatible_from, 0); /* says so */
    CHECK_INT(plan.known[2].compatible_from, 2); /* the one before */
}

TEST(the_new_ones_are_those_after_the_applied_ones)
{
    for (int64_t n_known = 0; n_known <= 3; n_known++) {
        for (int64_t n_applied = 0; n_applied <= n_known; n_applied++) {
            struct migration_plan plan = plan_of(n_known, n_applied);

            CHECK_INT(mesh__migrations_compare(ctx, &plan), MESH_OK);
            CHECK_INT(plan.first_new, n_applied);
        }
    }
}

TEST(a_newer_schema_is_fine_as_far_as_it_says_so)
{
    struct migration_plan plan = plan_of(2, 3);

    CHECK_INT(mesh__migrations_compare(ctx, &plan), MESH_OK);
    CHECK_INT(plan.first_new, 2); /* nothing */
    plan = plan_of(1, 3);
    CHECK_INT(mesh__migrations_compare(ctx, &plan), MESH_FAILED_PRECONDITION);
    plan = plan_of(1, 2);
    CHECK_INT(mesh__migrations_compare(ctx, &plan), MESH_OK);
}

TEST(a_changed_one_is_refused)
{
    struct migration_plan plan = plan_of(3, 3);

    ((struct applied_migration *)(uintptr_t)plan.applied)[1].checksum = "another";
    CHECK_INT(mesh__migrations_compare(ctx, &plan), MESH_FAILED_PRECONDITION);
    CHECK(strstr(mesh_ctx_error(ctx), "0002_b") != NULL);
}

TEST(a_gap_is_refused)
{
    struct migration_plan plan = plan_of(3, 3);

    plan.applied++;
    plan.n_applied = 2;
    CHECK_INT(mesh__migrations_compare(ctx, &plan), MESH_FAILED_PRECONDITION);
    CHECK(strstr(mesh_ctx_error(ctx), "0001_a was not applied although 0002_b was") != NULL);
}

TEST(names_and_comments_that_make_no_sense_end_the_process)
{
    static const struct mesh_migration wrong[][2] = {
        {{"create_a", "select 1"}, {NULL, NULL}},
        {{"0002_a", "select 1"}, {NULL, NULL}},
        {{"1_a", "select 1"}, {NULL, NULL}},
        {{"0001_a", "-- compatible_from: 2\nselect 1"}, {NULL, NULL}},
        {{"0001_a", "-- compatible_from: soon\nselect 1"}, {NULL, NULL}}};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int status;
        pid_t child = fork();

        if (child == 0) {
            const struct known_migration *known;
            int64_t n;

            (void)signal(SIGABRT, SIG_DFL);
            mesh__migrations_read(ctx, wrong[i], &known, &n);
            _exit(0);
        }
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

TEST_MAIN(set_up, tear_down)
