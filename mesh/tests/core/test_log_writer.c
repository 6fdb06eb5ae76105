/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a process whose standard error is read too slowly, or not at all. */
#include "core/fatal.h"
#include "core/log_impl.h"
#include "core/log_writer.h"
#include "mesh/metrics.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 20000 /* lines: far more than pipe and buffer hold */

/* A child whose standard error is a pipe. */
struct writer {
    pid_t pid;
    int fd;
};

static struct writer start(void (*run)(void))
{
    struct writer writer;
    int ends[2];

    CHECK(pipe(ends) == 0);
    writer.pid = fork();
    CHECK(writer.pid >= 0);
    if (writer.pid == 0) {
        for (int i = 1; i < NSIG; i++) {
            (void)signal(i, SIG_DFL); /* cmocka's would go on with the tests */
        }
        (void)alarm(60); /* instead of a hang */
        close(ends[0]);
        dup2(ends[1], STDERR_FILENO);
        close(ends[1]);
        mesh__log_setup("order", MESH_LOG_INFO, MESH__LOG_JSON);
        run();
        _exit(0);
    }
    close(ends[1]);
    writer.fd = ends[0];
    return writer;
}

/* Its exit code, or 128 + the signal that ended it. */
static int wait_for(const struct writer *writer)
{
    int status = 0;

    while (waitpid(writer->pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Counts the lines until the end; those with the text go to *ret_with. The last one is kept. */
static int read_lines(const struct writer *writer, const char *text, int *ret_with, char last[8192])
{
    FILE *in = fdopen(writer->fd, "r");
    int n = 0;

    CHECK(in != NULL);
    last[0] = '\0';
    *ret_with = 0;
    while (fgets(last, 8192, in) != NULL) {
        n++;
        *ret_with += strstr(last, text) != NULL ? 1 : 0;
    }
    CHECK(fclose(in) == 0);
    return n;
}

static void log_lines(int n)
{
    for (int i = 0; i < n; i++) {
        mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_int("i", i)), "some line");
    }
}

/* ---- nobody reads ------------------------------------------------------------------------- */

static void log_too_much(void)
{
    struct mesh_counter *dropped = mesh_counter("mesh_log_dropped_lines_total", "", NULL);

    mesh__log_start();
    log_lines(MANY);
    if (mesh_counter_value(dropped) == 0) {
        _exit(3);
    }
    (void)raise(SIGSTOP); /* until the test reads */
    mesh__log_flush(30000);
    mesh__log_stop();
    _exit(mesh_counter_value(dropped) >= MANY ? 4 : 0);
}

TEST(a_reader_that_stops_makes_nobody_wait_and_is_told_of_what_it_missed)
{
    struct writer writer = start(log_too_much);
    char last[8192];
    char *dropped;
    int status = 0;
    int n_with;
    int n;

    CHECK(waitpid(writer.pid, &status, WUNTRACED) == writer.pid);
    CHECK(WIFSTOPPED(status));
    CHECK(kill(writer.pid, SIGCONT) == 0);
    n = read_lines(&writer, "were dropped", &n_with, last);
    CHECK_INT(wait_for(&writer), 0);
    CHECK_INT(n_with, 1);
    dropped = strstr(last, "\"dropped\":");
    CHECK_INT(dropped == NULL ? 0 : n - 1 + strtol(dropped + strlen("\"dropped\":"), NULL, 10),
              MANY);
}

static void log_and_stop(void)
{
    mesh__log_start();
    log_lines(MANY);
    mesh__log_stop();
}

TEST(a_stop_gives_up_on_a_reader_that_does_not_read)
{
    struct writer writer = start(log_and_stop);

    CHECK_INT(wait_for(&writer), 0);
    close(writer.fd);
}

static void log_and_fail(void)
{
    mesh__log_start();
    log_lines(MANY);
    mesh__fatal("nothing works");
}

TEST(a_fatal_error_ends_the_process_though_nobody_reads)
{
    struct writer writer = start(log_and_fail);

    CHECK_INT(wait_for(&writer), 128 + SIGABRT);
    close(writer.fd);
}

/* ---- nothing is lost ---------------------------------------------------------------------- */

static void log_a_little(void)
{
    mesh__log_start();
    log_lines(500);
    mesh__log_stop();
    mesh_log(MESH_LOG_INFO, MESH_LOG_NO_FIELDS, "after the stop");
}

TEST(a_stop_writes_what_is_left)
{
    struct writer writer = start(log_a_little);
    char last[8192];
    int n_with;

    CHECK_INT(read_lines(&writer, "some line", &n_with, last), 501);
    CHECK_INT(n_with, 500);
    CHECK(strstr(last, "after the stop") != NULL);
    CHECK_INT(wait_for(&writer), 0);
}

static void fail_at_once(void)
{
    mesh__log_start();
    log_lines(500);
    mesh__fatal("nothing works");
}

TEST(a_fatal_error_comes_after_all_other_lines)
{
    struct writer writer = start(fail_at_once);
    char last[8192];
    int n_with;

    CHECK_INT(read_lines(&writer, "some line", &n_with, last), 501);
    CHECK(strstr(last, "nothing works") != NULL);
    CHECK_INT(wait_for(&writer), 128 + SIGABRT);
}

static void *crash(void *arg)
{
    (void)arg;
    log_lines(500);
    abort();
}

static void crash_in_a_thread(void)
{
    pthread_t thread;

    mesh__log_start();
    if (pthread_create(&thread, NULL, crash, NULL) == 0) {
        (void)pthread_join(thread, NULL);
    }
}

TEST(what_was_logged_before_a_crash_is_written)
{
    struct writer writer = start(crash_in_a_thread);
    char last[8192];
    int n_with;

    CHECK_INT(read_lines(&writer, "some line", &n_with, last), 500);
    CHECK_INT(wait_for(&writer), 128 + SIGABRT);
}

static void log_in_a_child(void)
{
    int status = 0;
    pid_t pid;

    mesh__log_start();
    log_lines(1);
    mesh__log_flush(10000); /* a thread that begins allocates, and forks leave a sanitizer's lock */
    log_lines(99);
    pid = fork();
    if (pid == 0) {
        log_lines(1);
#ifndef __SANITIZE_THREAD__ /* it ends a child that starts threads */
        mesh__log_start();
#endif
        log_lines(100);
        mesh__log_stop();
        _exit(0);
    }
    (void)waitpid(pid, &status, 0);
    mesh__log_stop();
    _exit(status == 0 ? 0 : 1);
}

TEST(a_child_writes_its_own_lines_and_no_others)
{
    struct writer writer = start(log_in_a_child);
    char last[8192];
    int n_with;

    CHECK_INT(read_lines(&writer, "some line", &n_with, last), 201);
    CHECK_INT(wait_for(&writer), 0);
}

static void *log_hundred(void *arg)
{
    (void)arg;
    log_lines(100);
    return NULL;
}

static void log_in_threads(void)
{
    pthread_t threads[8];

    mesh__log_start();
    for (int i = 0; i < 8; i++) {
        if (pthread_create(&threads[i], NULL, log_hundred, NULL) != 0) {
            _exit(1);
        }
    }
    for (int i = 0; i < 8; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    mesh__log_stop();
}

TEST(lines_of_threads_arrive_whole)
{
    struct writer writer = start(log_in_threads);
    char last[8192];
    int n_with;

    CHECK_INT(read_lines(&writer, "\"message\":\"some line\",\"i\":", &n_with, last), 800);
    CHECK_INT(n_with, 800);
    CHECK_INT(wait_for(&writer), 0);
}

TEST_MAIN(NULL, NULL)
