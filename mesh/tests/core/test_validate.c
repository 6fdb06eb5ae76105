/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "guard_test.pb-c.h"
#include "mesh/validate.h"
#include "test.h"

static struct mesh_ctx *ctx;
static struct mesh_violations *violations;

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

static void start(void)
{
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    violations = mesh__violations_new(ctx);
}

static struct mesh_path field(const struct mesh_path *parent, const char *name)
{
    return (struct mesh_path){parent, name, -1, NULL, false};
}

/* The path as the violation says it. */
static const char *path_of(const struct mesh_path *path)
{
    start();
    mesh_violate(violations, path, "rule", "text");
    CHECK(mesh__violations_fail(ctx, violations) == MESH_INVALID_ARGUMENT);
    return ctx->scope->error->violations[0].field;
}

TEST(no_violation_is_no_failure)
{
    start();
    CHECK(mesh__violations_fail(ctx, violations) == MESH_OK);
    CHECK_TEXT(mesh_ctx_error(ctx), "");
    CHECK_INT(ctx->scope->error->n_violations, 0);
}

TEST(one_violation_names_field_text_and_rule)
{
    struct mesh_path quantity = field(NULL, "quantity");

    start();
    mesh_violate(violations, &quantity, "int64.gte", "must be >= %d", 1);
    CHECK(mesh__violations_fail(ctx, violations) == MESH_INVALID_ARGUMENT);
    CHECK_TEXT(mesh_ctx_error(ctx), "quantity: must be >= 1 [int64.gte]");
    CHECK_INT(ctx->scope->error->n_violations, 1);
    CHECK_TEXT(ctx->scope->error->violations[0].field, "quantity");
    CHECK_TEXT(ctx->scope->error->violations[0].rule, "int64.gte");
    CHECK_TEXT(ctx->scope->error->violations[0].text, "must be >= 1");
}

TEST(all_violations_are_told_at_once)
{
    struct mesh_path name = field(NULL, "name");

    start();
    for (int i = 0; i < 5; i++) {
        mesh_violate(violations, &name, "string.len", "%d", i);
    }
    CHECK(mesh__violations_fail(ctx, violations) == MESH_INVALID_ARGUMENT);
    CHECK_TEXT(mesh_ctx_error(ctx), "name: 0 [string.len]; name: 1 [string.len]; "
                                    "name: 2 [string.len]; and 2 more");
    CHECK_INT(ctx->scope->error->n_violations, 5);
    CHECK_TEXT(ctx->scope->error->violations[4].text, "4");
}

TEST(a_flood_of_violations_is_counted_but_not_kept)
{
    struct mesh_path name = field(NULL, "name");

    start();
    for (int i = 0; i < 1000; i++) {
        mesh_violate(violations, &name, "rule", "text");
    }
    CHECK(mesh__violations_fail(ctx, violations) == MESH_INVALID_ARGUMENT);
    CHECK_INT(ctx->scope->error->n_violations, 32);
    CHECK(strstr(mesh_ctx_error(ctx), "and 997 more") != NULL);
}

/* The same, for a request whose fields by_name and child are sensitive. */
static const char *hidden_path_of(const struct mesh_path *path)
{
    static const char *const fields[] = {"by_name", "child", NULL};
    static const struct mesh_sensitive_type tree = {&mesh__guardtest__tree__descriptor, fields};
    static const struct mesh_sensitive_type *const types[] = {&tree, NULL};

    start();
    mesh__violations_hide(violations, &mesh__guardtest__tree__descriptor, types);
    mesh_violate(violations, path, "rule", "text");
    CHECK(mesh__violations_fail(ctx, violations) == MESH_INVALID_ARGUMENT);
    return ctx->scope->error->violations[0].field;
}

TEST(a_path_does_not_show_keys_that_are_sensitive)
{
    struct mesh_path entry = {NULL, "by_name", -1, "4111", false};
    struct mesh_path numbered = {NULL, "by_name", -1, "4111", true};
    struct mesh_path code = field(&entry, "code");
    struct mesh_path list = {NULL, "children", 7, NULL, false};
    struct mesh_path in_list = {&list, "by_name", -1, "4111", false};
    struct mesh_path child = field(NULL, "child");
    struct mesh_path in_child = {&child, "leaves", 2, NULL, false};

    CHECK_TEXT(hidden_path_of(&entry), "by_name[*]");
    CHECK_TEXT(hidden_path_of(&numbered), "by_name[*]");
    CHECK_TEXT(hidden_path_of(&code), "by_name[*].code");
    CHECK_TEXT(hidden_path_of(&in_list), "children[7].by_name[*]");
    CHECK_TEXT(hidden_path_of(&in_child), "child.leaves[*]");
    CHECK_TEXT(hidden_path_of(&list), "children[7]");
    CHECK_TEXT(path_of(&entry), "by_name[\"4111\"]");
    CHECK_TEXT(path_of(&numbered), "by_name[4111]");
}

TEST(a_path_leads_through_messages_lists_and_maps)
{
    struct mesh_path lines = {NULL, "lines", 3, NULL, false};
    struct mesh_path sku = field(&lines, "sku");
    struct mesh_path code = field(&sku, "code");
    struct mesh_path label = {NULL, "labels", -1, "x", false};
    struct mesh_path of_label = field(&label, "value");
    struct mesh_path strange = {NULL, "labels", -1, "a\"b\\", false};
    struct mesh_path empty = {NULL, "labels", -1, "", false};

    CHECK_TEXT(path_of(&lines), "lines[3]");
    CHECK_TEXT(path_of(&code), "lines[3].sku.code");
    CHECK_TEXT(path_of(&label), "labels[\"x\"]");
    CHECK_TEXT(path_of(&of_label), "labels[\"x\"].value");
    CHECK_TEXT(path_of(&strange), "labels[\"a\\\"b\\\\\"]");
    CHECK_TEXT(path_of(&empty), "labels[\"\"]");
}

TEST(a_path_is_bounded)
{
    struct mesh_path places[100];
    char longer[1000];
    struct mesh_path label = {NULL, "labels", -1, longer, false};

    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    CHECK(strlen(path_of(&label)) < 100);
    for (size_t i = 0; i < 100; i++) {
        places[i] = field(i > 0 ? &places[i - 1] : NULL, "a_field_with_a_long_name");
    }
    CHECK(strlen(path_of(&places[99])) < 256);
}

TEST(a_uuid_has_its_form_in_either_case)
{
    CHECK(mesh_is_uuid("0190a6e2-7f00-7abc-8def-0123456789ab"));
    CHECK(mesh_is_uuid("0190A6E2-7F00-7ABC-8DEF-0123456789AB"));
    CHECK(mesh_is_uuid("00000000-0000-0000-0000-000000000000"));
    CHECK(!mesh_is_uuid(""));
    CHECK(!mesh_is_uuid("0190a6e2-7f00-7abc-8def-0123456789a"));
    CHECK(!mesh_is_uuid("0190a6e2-7f00-7abc-8def-0123456789abc"));
    CHECK(!mesh_is_uuid("0190a6e2-7f00-7abc-8def-0123456789ag"));
    CHECK(!mesh_is_uuid("0190a6e27f007abc8def0123456789ab"));
    CHECK(!mesh_is_uuid("0190a6e2-7f00-7abc-8def_0123456789ab"));
    CHECK(!mesh_is_uuid("0190a6e27-f00-7abc-8def-0123456789ab"));
    CHECK(!mesh_is_uuid("{190a6e2-7f00-7abc-8def-0123456789a}"));
}

TEST(length_is_in_code_points)
{
    CHECK_INT(mesh_utf8_length(""), 0);
    CHECK_INT(mesh_utf8_length("abc"), 3);
    CHECK_INT(mesh_utf8_length("한국어"), 3);
    CHECK_INT(mesh_utf8_length("a\xf0\x9f\x99\x82"), 2);
}

TEST_MAIN(setup, teardown)
