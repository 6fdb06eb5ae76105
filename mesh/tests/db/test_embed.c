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

/* The text behind the line with the licence. */
static const char *unlicensed(const char *name)
{
    static const char licence[] = "-- SPDX-License-Identifier: Apache-2.0\n";
    const char *whole = file(name);

    CHECK(strncmp(whole, licence, strlen(licence)) == 0);
    return whole + strlen(licence);
}

TEST(a_migration_is_its_file_byte_for_byte_without_the_licence)
{
    CHECK_TEXT(odd_migrations[0].name, "0001_first_step");
    CHECK_TEXT(odd_migrations[0].text, unlicensed("0001_first_step.sql"));
    CHECK_TEXT(odd_migrations[1].name, "0002_second_step");
    CHECK_TEXT(odd_migrations[1].text, unlicensed("0002_second_step.sql"));
    CHECK(odd_migrations[2].name == NULL);
}

TEST_MAIN(NULL, NULL)
