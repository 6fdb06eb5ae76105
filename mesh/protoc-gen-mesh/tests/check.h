/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of generated validators: runs one and compares what it found. */
#ifndef MESH_GEN_CHECK_H
#define MESH_GEN_CHECK_H

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "generator/features.mesh.h"
#include "test.h"

static struct mesh_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    return 0;
}

/* What is wrong with the request, as "field: rule" joined by ", "; "" if nothing is. */
static const char *found(int method, const void *request)
{
    struct mesh_violations *violations;
    const char *list = "";

    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    violations = mesh__violations_new(ctx);
    features_methods[method].validate(violations, request);
    if (mesh__violations_fail(ctx, violations) == MESH_OK) {
        return "";
    }
    for (size_t i = 0; i < ctx->scope->error->n_violations; i++) {
        const struct mesh__violation *violation = &ctx->scope->error->violations[i];

        list = mesh_printf(ctx, "%s%s%s: %s", list, i > 0 ? ", " : "", violation->field,
                           violation->rule);
    }
    return list;
}

#endif
