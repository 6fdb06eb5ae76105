/* SPDX-License-Identifier: Apache-2.0 */
#include "odd_sql.h"
#include "test.h"

#include <stdio.h>

static char text[4096];

static const char *file(const char *name)
{
    char path[512];
    FILE *stream;
    size_t size;

    (void)snprintf(path, sizeof(path), "%s/%s", ODD_DIR, name);
    stream = fopen(path, "re");
    CHECK(stream != NULL);
    size = fread(text, 1, sizeof(text) - 1, stream);
    text[size] = '\0';
    CHECK_INT(fclose(stream), 0);
    return text;
}

TEST(a_statement_is_its_file_without_the_comment_at_its_head)
{
    CHECK_TEXT(odd_select_odd.name, "select_odd");
    CHECK_TEXT(odd_select_odd.text, strstr(file("select_odd.sql"), "select \"a\""));
}

TEST(a_migration_is_its_file_byte_for_byte)
{
    CHECK_TEXT(odd_migrations[0].name, "0001_first_step");
    CHECK_TEXT(odd_migrations[0].text, file("0001_first_step.sql"));
    CHECK_TEXT(odd_migrations[1].name, "0002_second_step");
    CHECK_TEXT(odd_migrations[1].text, file("0002_second_step.sql"));
    CHECK(odd_migrations[2].name == NULL);
}

TEST_MAIN(NULL, NULL)
