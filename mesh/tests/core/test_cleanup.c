/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "mesh/cleanup.h"
#include "test.h"

#include <fcntl.h>
#include <unistd.h>

static int open_in_a_scope(void)
{
    cleanup_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0);
    return fd;
}

TEST(a_descriptor_is_closed_at_the_end_of_its_scope)
{
    int fd = open_in_a_scope();

    CHECK_INT(fcntl(fd, F_GETFD), -1);
}

static int *n_drained;

static void count_drain(struct mesh_ctx *ctx)
{
    ctx->scope->calls = NULL;
    ++*n_drained;
}

/* The leak checker sees what a scope forgets. */
TEST(what_a_scope_holds_is_freed)
{
    int n = 0;

    n_drained = &n;
    mesh__ctx_drain = count_drain;
    {
        cleanup_free char *text = mesh__strdup("text");
        cleanup_ctx struct mesh_ctx *ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);

        CHECK_TEXT(text, "text");
        ctx->scope->calls = (struct mesh_call *)ctx; /* anything but NULL */
    }
    CHECK_INT(n, 1);
    mesh__ctx_drain = NULL;
}

TEST(empty_variables_are_left_alone)
{
    cleanup_free char *text = NULL;
    cleanup_ctx struct mesh_ctx *ctx = NULL;
    cleanup_fd int fd = -1;

    CHECK(text == NULL && ctx == NULL && fd == -1);
}

TEST_MAIN(NULL, NULL)
