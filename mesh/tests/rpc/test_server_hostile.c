/* SPDX-License-Identifier: Apache-2.0 */
/* A server in a process of its own under attack: its memory stays within a bound, and it lives on.
 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "rpc/client_impl.h"
#include "server_flood.h"
#include "server_raw.h"
#include "server_served.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char echo[] = "/check.v1.Check/Echo";
static const char watch[] = "/grpc.health.v1.Health/Watch";

/* ---- the victim --------------------------------------------------------------------------- */

static pid_t pid;
static int victim_in, victim_out;
static int port;

/* Its log goes to log_fd. */
static void start_victim_with(const char *kind, int log_fd)
{
    int in[2];
    int out[2];
    char text[16] = "";

    MUST(pipe(in) == 0 && pipe(out) == 0);
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(log_fd, STDERR_FILENO);
        for (int fd = 3; fd < 64; fd++) {
            (void)close(fd);
        }
        /* What was freed and is kept for the sanitizer's own sake is not the server's. */
        (void)setenv("ASAN_OPTIONS", "quarantine_size_mb=1:malloc_context_size=0", 1);
        (void)execl(VICTIM, VICTIM, kind, (char *)NULL);
        _exit(99);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    victim_in = in[1];
    victim_out = out[0];
    MUST(read(victim_out, text, sizeof(text) - 1) > 0);
    port = (int)strtol(text, NULL, 10);
}

static void start_victim(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    start_victim_with("", null);
    (void)close(null);
}

/* Its exit code. */
static int stop_victim(void)
{
    int status = 0;

    (void)close(victim_in);
    MUST(waitpid(pid, &status, 0) == pid);
    (void)close(victim_out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Megabytes: a line of its status, such as "VmHWM:". */
static long memory(const char *name)
{
    char path[64];
    char line[256];
    long kb = 0;
    FILE *in;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    in = fopen(path, "r");
    MUST(in != NULL);
    while (fgets(line, sizeof(line), in) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kb = strtol(line + strlen(name), NULL, 10);
        }
    }
    (void)fclose(in);
    return kb / 1024;
}

/* Megabytes, generously: each attack asks for several times as much. */
static void check_bound(const char *attack, long bound)
{
    long peak = memory("VmHWM:");

    print_message("%s: %ld MB at most\n", attack, peak);
#ifdef __SANITIZE_THREAD__
    CHECK(peak > 0 && bound > 0); /* the sanitizer itself takes several times as much */
#else
    CHECK(peak > 0 && peak < bound);
#endif
}

/* ---- attacks ------------------------------------------------------------------------------ */

/* Takes what has come on all connections, until there are so many ends of calls or time is over. */
static int take_all(struct flood **floods, size_t n, int n_ends, int64_t until_ns)
{
    int n_ended;

    do {
        n_ended = 0;
        for (size_t i = 0; i < n; i++) {
            flood_take(floods[i], 0);
            n_ended += floods[i]->closed ? floods[i]->n_streams : floods[i]->n_ended;
        }
    } while (n_ended < n_ends && mesh__now_ns() < until_ns);
    return n_ended;
}

static void close_all(struct flood **floods, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        flood_close(floods[i]);
    }
}

#define CONNECTIONS 250
#define STREAMS 100

/* What calls send. */
struct attack {
    const char *path;
    struct raw_bytes message;
    bool end;
    uint32_t window; /* for the answers */
    int kept;        /* calls that the server does not end at once */
};

/* As many calls as may be on so many connections. */
static void call_all(struct flood **floods, size_t n, const struct attack *attack)
{
    for (size_t i = 0; i < n; i++) {
        /* Not faster than the server looks at them: what the core has not yet shown it counts not.
         */
        int n_refused = (int)i * STREAMS - attack->kept;

        CHECK(take_all(floods, i, n_refused, mesh__in_ms(30000)) >= n_refused);
        floods[i] = flood_open(port, attack->window, true);
        flood_take(floods[i], 1000); /* its SETTINGS */
        for (int j = 0; j < STREAMS; j++) {
            int stream = flood_call(floods[i], attack->path);

            if (attack->message.size > 0) {
                (void)flood_data(floods[i], stream, attack->message.data, attack->message.size,
                                 attack->end);
            }
        }
    }
}

/* Calls of which the server keeps so many. */
static void check_kept(const struct attack *attack, const char *name)
{
    static struct flood *floods[CONNECTIONS];
    int n_refused = CONNECTIONS * STREAMS - attack->kept;

    start_victim();
    call_all(floods, CONNECTIONS, attack);
    CHECK(take_all(floods, CONNECTIONS, n_refused, mesh__in_ms(30000)) >= n_refused);
    check_bound(name, 150);
    close_all(floods, CONNECTIONS);
    CHECK_INT(stop_victim(), 0);
}

TEST(calls_without_a_request_are_not_kept)
{
    check_kept(&(struct attack){.path = echo, .window = 65535, .kept = 1024}, "no requests");
}

TEST(watches_without_number_are_not_kept)
{
    struct attack attack = {.path = watch, .end = true, .window = 65535, .kept = 1000};

    raw_message(&attack.message, 0, "", 0);
    check_kept(&attack, "watches");
}

/* Sends zeros on all streams until each has so many, the server ends it, or nothing goes any more.
 */
static void send_all(struct flood **floods, size_t n, size_t size)
{
    static const uint8_t zeros[16384];
    int64_t moved_ns = mesh__now_ns();

    while (mesh__now_ns() - moved_ns < 500 * MESH_NS_PER_MS) {
        for (size_t i = 0; i < n; i++) {
            for (int j = 0; j < floods[i]->n_streams && !floods[i]->closed; j++) {
                if (!floods[i]->ended[j] && floods[i]->n_sent[j] < size &&
                    flood_data(floods[i], j, zeros, sizeof(zeros), false) > 0) {
                    moved_ns = mesh__now_ns();
                }
            }
            flood_take(floods[i], 0);
        }
    }
}

TEST(requests_that_lack_their_last_byte_are_not_kept)
{
    static const uint8_t four_mb[] = {0, 0, 0x3f, 0xff, 0xff};
    struct attack attack = {.path = echo, .window = 65535, .kept = INT32_MAX};
    struct flood *floods[5];

    raw_add(&attack.message, four_mb, sizeof(four_mb));
    start_victim();
    call_all(floods, 5, &attack);
    send_all(floods, 5, (4 << 20) - 16384);
    check_bound("incomplete requests", 800); /* of 2000 */
    close_all(floods, 5);
    CHECK_INT(stop_victim(), 0);
}

TEST(a_request_without_end_is_not_kept)
{
    static const uint8_t four_gb[] = {0, 0xff, 0xff, 0xff, 0xf0};
    struct flood *flood;

    start_victim();
    flood = flood_open(port, 65535, true);
    flood_take(flood, 1000);
    CHECK(flood_data(flood, flood_call(flood, echo), four_gb, sizeof(four_gb), false) == 5);
    send_all(&flood, 1, (size_t)2 << 30);
    check_bound("an endless request", 200);
    flood_close(flood);
    CHECK_INT(stop_victim(), 0);
}

/* A request of a kilobyte, for an answer of a megabyte. */
static void pack_big(struct raw_bytes *ret_message)
{
    static uint8_t body[1 << 20];
    static uint8_t packed[sizeof(body) + 16];
    Check__V1__Words words = CHECK__V1__WORDS__INIT;

    words.body.data = body;
    words.body.len = sizeof(body);
    raw_zipped(ret_message, true, packed, check__v1__words__pack(&words, packed));
}

TEST(answers_that_nobody_takes_are_not_kept)
{
    struct attack attack = {.path = echo, .end = true, .window = 0, .kept = INT32_MAX};
    struct flood *floods[16];

    pack_big(&attack.message);
    start_victim();
    call_all(floods, 16, &attack);
    /* All but what there is room for is given up at once, and the rest at its deadline. */
    CHECK(take_all(floods, 16, 16 * STREAMS, mesh__in_ms(60000)) == 16 * STREAMS);
    check_bound("answers", 400);
    close_all(floods, 16);
    CHECK_INT(stop_victim(), 0);
}

/* ---- the log ------------------------------------------------------------------------------ */

TEST(a_log_that_nobody_reads_stops_neither_calls_nor_the_end)
{
    struct served served = {.port = 0};
    int log[2];

    MUST(pipe(log) == 0);
    start_victim_with("", log[1]);
    (void)snprintf(served.target, sizeof(served.target), "127.0.0.1:%d", port);
    served.client = mesh_client_new("victim", served.target, 10000);
    for (int i = 0; i < 5000; i++) { /* a line each, of 200 bytes: more than pipe and buffer hold */
        served.ctx = mesh__ctx_new("test", 0, mesh__in_ms(10000));
        CHECK(served_call(&served, "Echo", "", NULL) == MESH_OK);
        mesh__ctx_free(served.ctx);
    }
    mesh_client_free(served.client);
    mesh__client_thread_done();
    CHECK_INT(stop_victim(), 0);
    (void)close(log[0]);
    (void)close(log[1]);
}

/* ---- the end ------------------------------------------------------------------------------ */

TEST(a_handler_that_ignores_its_cancellation_does_not_keep_the_process)
{
    struct raw_bytes message = {.size = 0};
    struct flood *flood;
    char text[65536] = "";
    size_t size = 0;
    ssize_t n;
    int log[2];

    MUST(pipe(log) == 0);
    start_victim_with("stubborn", log[1]);
    (void)close(log[1]);
    raw_message(&message, 0, "", 0);
    flood = flood_open(port, 65535, true);
    (void)flood_data(flood, flood_call(flood, "/check.v1.Check/Fail"), message.data, message.size,
                     true);
    do { /* behind it on the same connection: it has begun */
        (void)flood_data(flood, flood_call(flood, echo), message.data, message.size, true);
        flood_take(flood, 100);
    } while (flood->n_ended == 0);
    CHECK_INT(stop_victim(), 128 + SIGABRT);
    while ((n = read(log[0], text + size, sizeof(text) - 1 - size)) > 0) {
        size += (size_t)n;
    }
    CHECK(strstr(text, "1 calls have ignored their cancellation") != NULL);
    CHECK(strstr(text, "/check.v1.Check/Fail (1)") != NULL);
    flood_close(flood);
    (void)close(log[0]);
}

/* ---- descriptors -------------------------------------------------------------------------- */

static enum mesh__probe ask_for_probe(void)
{
    char text[16] = "";

    MUST(write(victim_in, "?", 1) == 1);
    MUST(read(victim_out, text, sizeof(text) - 1) > 0);
    return (enum mesh__probe)strtol(text, NULL, 10);
}

TEST(a_port_that_was_lost_for_want_of_descriptors_is_noticed)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int connections[60];

    start_victim_with("poor", null);
    CHECK_INT(ask_for_probe(), MESH__PROBE_ANSWERED);
    for (size_t i = 0; i < 60; i++) {
        connections[i] = raw_connect_silent(port);
    }
    /* Until there are none left: for the port, for the probe (which is no proof), or for both. */
    while (ask_for_probe() == MESH__PROBE_ANSWERED) {
    }
    for (size_t i = 0; i < 60; i++) {
        CHECK(close(connections[i]) == 0);
    }
    while (ask_for_probe() == MESH__PROBE_UNKNOWN) {
    }
    CHECK_INT(ask_for_probe(), MESH__PROBE_SILENT);
    CHECK_INT(stop_victim(), 0);
    CHECK(close(null) == 0);
}

TEST_MAIN(NULL, NULL)
