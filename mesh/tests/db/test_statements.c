/* SPDX-License-Identifier: Apache-2.0 */
#include "db/statements.h"
#include "test.h"

#include <stdio.h>

static struct statements statements;

static struct statement *find(const char *name, const char *text, uint32_t type)
{
    struct mesh_sql sql = {name, text};
    struct pg_params params = {.n = 1, .types = &type};

    return mesh__statements_find(&statements, &sql, &params);
}

TEST(a_statement_is_found_again_by_its_text_and_types)
{
    struct statement *first = find("a", "select $1", 20);

    CHECK(first->state == STATEMENT_ABSENT);
    CHECK(find("a", "select $1", 20) == first);
    CHECK(find("a", "select $1", 25) != first);
    CHECK(find("a", "select  $1", 20) != first);
    mesh__statements_done(&statements);
}

TEST(a_name_has_no_more_bytes_than_postgres_keeps)
{
    const struct statement *one =
        find("a_name_that_is_longer_than_anybody_would_like_to_write_out_in_full", "select 1", 0);
    const struct statement *two =
        find("a_name_that_is_longer_than_anybody_would_like_to_write_out_in_full", "select 2", 0);

    CHECK(strlen(one->name) <= 63);
    CHECK(strcmp(one->name, two->name) != 0);
    CHECK(strncmp(one->name, "s_a_name_that", 13) == 0);
    mesh__statements_done(&statements);
}

TEST(many_statements_are_all_kept)
{
    static struct statement *found[1000];
    char text[32];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof(text), "select %d", i);
        found[i] = find("n", text, 0);
    }
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof(text), "select %d", i);
        CHECK(find("n", text, 0) == found[i]);
    }
    mesh__statements_done(&statements);
}

TEST_MAIN(NULL, NULL)
