/* SPDX-License-Identifier: Apache-2.0 */
#include "app/database.h"

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "mesh/log.h"

#include <stdio.h>
#include <string.h>

#define CONNECT_MS 5000
#define FIRST_DELAY_MS 100
#define LONGEST_DELAY_MS 2000

static bool is_transient(enum mesh_status status)
{
    return status == MESH_UNAVAILABLE || status == MESH_DEADLINE_EXCEEDED ||
           status == MESH_ABORTED || status == MESH_CANCELLED || status == MESH_UNKNOWN;
}

/* What the last failure said, so that it is logged once. */
struct said {
    char text[512];
};

static void say_once(struct said *said, const char *text)
{
    if (strncmp(said->text, text, sizeof(said->text) - 1) != 0) {
        (void)snprintf(said->text, sizeof(said->text), "%s", text);
        mesh_log(MESH_LOG_WARN, MESH_LOG_NO_FIELDS, "waiting for the database: %s", said->text);
    }
}

MESH_STATUS mesh__database_wait(struct mesh_ctx *ctx, struct mesh__stop *stop, int64_t until_ns,
                                MESH_STATUS (*look)(struct mesh_ctx *ctx, void *arg), void *arg)
{
    const atomic_bool *asked = mesh__stop_flag(stop);
    int64_t start_ns = mesh__now_ns();
    int64_t delay_ms = FIRST_DELAY_MS;
    struct said said = {.text = ""};
    enum mesh_status status;

    for (;;) {
        mesh__ctx_reset(ctx, mesh__in_ms(CONNECT_MS));
        ctx->cancelled = asked;
        status = look(ctx, arg);
        if (!is_transient(status) || atomic_load(asked) || mesh__now_ns() >= until_ns) {
            break;
        }
        say_once(&said, mesh_ctx_error(ctx));
        if (mesh__stop_wait(stop, mesh__least(mesh__in_ms(delay_ms), until_ns))) {
            return status;
        }
        delay_ms = mesh__least(delay_ms * 2, LONGEST_DELAY_MS);
    }
    if (said.text[0] == '\0' || atomic_load(asked)) {
        return status;
    }
    if (status == MESH_OK) {
        mesh_log(MESH_LOG_INFO, MESH_LOG_NO_FIELDS, "the database answers");
    } else if (is_transient(status)) {
        return mesh_fail(ctx, status, "%s (waited for %lld ms)", mesh_ctx_error(ctx),
                         (long long)((mesh__now_ns() - start_ns) / MESH_NS_PER_MS));
    }
    return status;
}
