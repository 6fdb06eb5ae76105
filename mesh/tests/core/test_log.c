/* SPDX-License-Identifier: Apache-2.0 */
#include "core/log_impl.h"
#include "core/log_line.h"
#include "core/utf8.h"
#include "fake_clock.h"
#include "mesh/log.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static char line[MESH_LOG_LINE_MAX + 1];
static size_t n_lines;

static void keep(void *arg, const char *text, size_t size)
{
    (void)arg;
    CHECK(size <= MESH_LOG_LINE_MAX);
    CHECK(size > 0 && text[size - 1] == '\n');
    CHECK(memchr(text, '\n', size) == text + size - 1);
    CHECK(mesh__utf8_valid(text, size) == size);
    memcpy(line, text, size);
    line[size] = '\0';
    n_lines++;
}

static int setup(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    mesh__clock = &fake_clock;
    fake_us = INT64_C(1700000000123456); /* 2023-11-14T22:13:20 */
    mesh__log_capture(keep, NULL);
    return 0;
}

static void start(enum mesh__log_format format)
{
    mesh__log_setup("order", MESH_LOG_INFO, format);
    n_lines = 0;
    line[0] = '\0';
}

TEST(a_line_is_a_json_object)
{
    start(MESH__LOG_JSON);
    mesh_log(MESH_LOG_WARN, MESH_LOG_FIELDS(mesh_log_text("key", "value"), mesh_log_int("n", -7)),
             "message %d", 1);
    CHECK_TEXT(line,
               "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"level\":\"warn\","
               "\"service\":\"order\",\"message\":\"message 1\",\"key\":\"value\",\"n\":-7}\n");
}

TEST(no_fields_and_no_text_are_fine)
{
    start(MESH__LOG_JSON);
    mesh_log(MESH_LOG_INFO, MESH_LOG_NO_FIELDS, "%s", "");
    CHECK(strstr(line, "\"message\":\"\"}\n") != NULL);
    mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_text("key", NULL)), "x");
    CHECK(strstr(line, "\"key\":\"\"}\n") != NULL);
    mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_int("n", INT64_MIN)), "x");
    CHECK(strstr(line, "\"n\":-9223372036854775808}\n") != NULL);
}

TEST(any_bytes_become_valid_json_text)
{
    start(MESH__LOG_JSON);
    mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_text("k\"\n", "\"\\\b\x01\x7f\r\t\n/")),
             "a\xff"
             "b\xe2\x82 \xe2\x82\xac \xc2\x9b");
    CHECK(strstr(line, "\"message\":\"a\xef\xbf\xbd"
                       "b\xef\xbf\xbd\xef\xbf\xbd \xe2\x82\xac \\u009b\"") != NULL);
    CHECK(strstr(line, "\"k\\\"\\n\":\"\\\"\\\\\\u0008\\u0001\\u007f\\r\\t\\n/\"}\n") != NULL);
}

TEST(lines_below_the_level_are_not_written)
{
    start(MESH__LOG_JSON);
    mesh_log(MESH_LOG_DEBUG, MESH_LOG_NO_FIELDS, "quiet");
    CHECK_INT(n_lines, 0);
    CHECK(!mesh__log_enabled(MESH_LOG_DEBUG));
    mesh__log_set_level(MESH_LOG_DEBUG);
    mesh_log(MESH_LOG_DEBUG, MESH_LOG_NO_FIELDS, "loud");
    CHECK_INT(n_lines, 1);
    mesh__log_set_level(MESH_LOG_ERROR);
    CHECK(mesh__log_level() == MESH_LOG_ERROR);
    mesh_log(MESH_LOG_WARN, MESH_LOG_NO_FIELDS, "quiet");
    CHECK_INT(n_lines, 1);
}

TEST(levels_have_names)
{
    enum mesh_log_level level = MESH_LOG_ERROR;

    CHECK(mesh__log_level_parse("debug", &level) && level == MESH_LOG_DEBUG);
    CHECK(mesh__log_level_parse("warn", &level) && level == MESH_LOG_WARN);
    CHECK(!mesh__log_level_parse("WARN", &level) && level == MESH_LOG_WARN);
    CHECK(!mesh__log_level_parse("", &level));
}

TEST(a_long_message_is_cut_and_marked)
{
    static char longer[20000];

    start(MESH__LOG_JSON);
    memset(longer, 'x', sizeof(longer) - 1);
    mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_text("key", "value")), "%s", longer);
    CHECK(strstr(line, "xxx\xe2\x80\xa6\",\"key\":\"value\"}\n") != NULL);
}

TEST(a_long_value_is_cut_and_leaves_room_for_others)
{
    static char longer[20000];

    start(MESH__LOG_JSON);
    memset(longer, '\x01', sizeof(longer) - 1); /* six bytes each when escaped */
    mesh_log(MESH_LOG_INFO,
             MESH_LOG_FIELDS(mesh_log_text("long", longer), mesh_log_text("key", "value")), "%s",
             longer);
    CHECK(strstr(line, "\\u0001\xe2\x80\xa6\",\"key\":\"value\"}\n") != NULL);
}

TEST(fields_without_room_are_counted)
{
    static char longer[20000];
    struct mesh_log_field fields[400];

    start(MESH__LOG_JSON);
    memset(longer, 'x', sizeof(longer) - 1);
    for (size_t i = 0; i < 400; i++) {
        fields[i] = i % 2 == 0 ? mesh_log_text("some_key_name", longer + sizeof(longer) - 40)
                               : mesh_log_int("some_number", (int64_t)i);
    }
    mesh_log(MESH_LOG_INFO, (struct mesh_log_fields){fields, 400}, "%s", longer);
    CHECK(strstr(line, ",\"dropped_fields\":") != NULL);
    CHECK(line[strlen(line) - 2] == '}');
}

/* Whether quotes and backslashes in a line pair up, which is what a cut in a bad place breaks. */
static bool is_closed(const char *text)
{
    bool inside = false;

    for (; *text != '\0'; text++) {
        if (*text == '\\') {
            text++;
        } else if (*text == '"') {
            inside = !inside;
        }
    }
    return !inside;
}

TEST(no_length_of_text_breaks_a_line)
{
    static char text[9000];
    static const char *const pieces[] = {"x", "\"", "\x01", "\xe2\x82\xac", "\xff"};

    for (size_t kind = 0; kind < 5; kind++) {
        for (size_t size = 1; size < 8990; size += size < 1900 || size > 2100 ? 37 : 1) {
            size_t at = 0;

            start(MESH__LOG_JSON);
            while (at < size) {
                memcpy(text + at, pieces[kind], strlen(pieces[kind]));
                at += strlen(pieces[kind]);
            }
            text[at] = '\0';
            mesh_log(MESH_LOG_INFO,
                     MESH_LOG_FIELDS(mesh_log_text("a", text), mesh_log_text(text, "b"),
                                     mesh_log_text("c", text), mesh_log_int("d", 1)),
                     "%s", text);
            CHECK(is_closed(line));
            CHECK(line[strlen(line) - 2] == '}');
        }
    }
}

TEST(the_plain_format_is_for_people)
{
    start(MESH__LOG_PLAIN);
    mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_text("key", "value"), mesh_log_int("n", 7)),
             "some \"message\"");
    CHECK_TEXT(line, "22:13:20.123 INFO  order  some \"message\" key=value n=7\n");
    mesh_log(MESH_LOG_ERROR,
             MESH_LOG_FIELDS(mesh_log_text("a", "two words"), mesh_log_text("b", ""),
                             mesh_log_text("c", "x=y"), mesh_log_text("d", "q\"")),
             "m");
    CHECK_TEXT(line, "22:13:20.123 ERROR order  m a=\"two words\" b=\"\" c=\"x=y\" d=\"q\\\"\"\n");
}

TEST(a_terminal_gets_no_control_characters)
{
    start(MESH__LOG_PLAIN);
    mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_text("key", "\x1b]0;x\x07")),
             "a\x1b[31m\nb\xc2\x9b");
    CHECK_TEXT(line, "22:13:20.123 INFO  order  a\\u001b[31m\\nb\\u009b "
                     "key=\"\\u001b]0;x\\u0007\"\n");
}

TEST(the_caller_keeps_errno)
{
    start(MESH__LOG_JSON);
    errno = ENOENT;
    mesh_log(MESH_LOG_INFO, MESH_LOG_NO_FIELDS, "%m");
    CHECK_INT(errno, ENOENT);
    CHECK(strstr(line, "No such file") != NULL);
}

#define THREADS 4
#define LINES 200

static void *log_lines(void *arg)
{
    char text[1500];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < LINES; i++) {
        mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_text("thread", arg)), "%s", text);
    }
    return NULL;
}

TEST(lines_of_threads_do_not_mix)
{
    char name[] = "/tmp/mesh-test-log.XXXXXX";
    int file = mkstemp(name);
    int saved = dup(STDERR_FILENO);
    pthread_t threads[THREADS];
    char text[MESH_LOG_LINE_MAX];
    int n = 0;
    FILE *in;

    start(MESH__LOG_JSON);
    mesh__log_capture(NULL, NULL);
    CHECK(file >= 0 && saved >= 0 && dup2(file, STDERR_FILENO) >= 0);
    CHECK(fcntl(STDERR_FILENO, F_SETFL, O_APPEND) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, log_lines, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK(dup2(saved, STDERR_FILENO) >= 0);
    mesh__log_capture(keep, NULL);

    in = fdopen(file, "r");
    CHECK(in != NULL);
    rewind(in);
    while (fgets(text, sizeof(text), in) != NULL) {
        CHECK(strncmp(text, "{\"time\":", 8) == 0);
        CHECK_TEXT(text + strlen(text) - 3, "\"}\n");
        n++;
    }
    CHECK_INT(n, THREADS * LINES);
    CHECK_INT(fclose(in), 0);
    close(saved);
    unlink(name);
}

TEST_MAIN(setup, NULL)
