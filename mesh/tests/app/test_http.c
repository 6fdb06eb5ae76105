/* SPDX-License-Identifier: Apache-2.0 */
#include "app/http.h"
#include "app/process_metrics.h"
#include "test.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

static struct mesh__http *http;
static int port;
static int64_t request_ms;
static char error[512];
static _Atomic(const char *) alive_reason;
static _Atomic(const char *) ready_reason;
static char reply[65536];

static const char *not_alive(void *arg)
{
    CHECK_TEXT(arg, "arg");
    return alive_reason;
}

static const char *not_ready(void *arg)
{
    CHECK_TEXT(arg, "arg");
    return ready_reason;
}

static void metrics(void *arg, FILE *out)
{
    CHECK_TEXT(arg, "arg");
    (void)fprintf(out, "some_metric 1\n");
    mesh__process_metrics_write(out);
}

static struct mesh__http *start_at(const char *listen_at)
{
    static char arg[] = "arg";
    const struct mesh__http_options options = {.listen = listen_at,
                                               .not_alive = not_alive,
                                               .not_ready = not_ready,
                                               .metrics = metrics,
                                               .request_ms = request_ms,
                                               .arg = arg};

    error[0] = '\0';
    return mesh__http_start(&options, &port, error, sizeof(error));
}

static int start(void **state)
{
    (void)state;
    http = start_at("127.0.0.1:0");
    return http == NULL ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    mesh__http_stop(http);
    return 0;
}

/* From 127.0.0.<host>: another machine, as far as the server can tell. */
static int dial_from(uint32_t host)
{
    const struct timeval patience = {.tv_sec = 8};
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr = {htonl(INADDR_LOOPBACK - 1 + host)}};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
    CHECK(bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    return fd;
}

static int dial(void)
{
    return dial_from(1);
}

/* Sends requests, the last of which asks to close, and reads until the server does. */
static const char *talk_from(uint32_t host, const char *request)
{
    int fd = dial_from(host);
    size_t used = 0;
    ssize_t n;

    CHECK(send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request));
    while ((n = recv(fd, reply + used, sizeof(reply) - 1 - used, 0)) > 0) {
        used += (size_t)n;
    }
    reply[used] = '\0';
    close(fd);
    return reply;
}

static const char *talk(const char *request)
{
    return talk_from(1, request);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static const char *body(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");

    return end == NULL ? "" : end + 4;
}

TEST(livez_is_ok_while_the_process_turns)
{
    alive_reason = NULL;
    talk("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(begins(reply, "HTTP/1.1 200 "));
    CHECK(strstr(reply, "\r\nContent-Type: text/plain; charset=utf-8\r\n") != NULL);
    CHECK_TEXT(body(reply), "ok\n");
    alive_reason = "the process is stuck";
    talk("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(begins(reply, "HTTP/1.1 503 "));
    CHECK_TEXT(body(reply), "the process is stuck\n");
    alive_reason = NULL;
}

TEST(readyz_says_why_it_is_not_ready)
{
    ready_reason = "waiting for the database";
    talk("GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(begins(reply, "HTTP/1.1 503 "));
    CHECK_TEXT(body(reply), "waiting for the database\n");
    ready_reason = NULL;
    talk("GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(begins(reply, "HTTP/1.1 200 "));
}

TEST(a_query_does_not_change_the_path)
{
    CHECK(begins(talk("GET /readyz?verbose HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                 "HTTP/1.1 200 "));
}

TEST(metrics_are_prometheus_text)
{
    static const char *const names[] = {"process_cpu_seconds_total",
                                        "process_open_fds",
                                        "process_max_fds",
                                        "process_start_time_seconds",
                                        "process_resident_memory_bytes",
                                        "process_threads"};

    talk("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(begins(reply, "HTTP/1.1 200 "));
    CHECK(strstr(reply, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n") != NULL);
    CHECK(begins(body(reply), "some_metric 1\n"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char line[64];
        const char *value;

        (void)snprintf(line, sizeof(line), "\n%s ", names[i]);
        value = strstr(body(reply), line);
        assert_non_null(value);
        CHECK(strtod(value + strlen(line), NULL) > 0 || i == 0);
    }
}

TEST(head_answers_without_a_body)
{
    talk("HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(begins(reply, "HTTP/1.1 200 "));
    CHECK(strstr(reply, "\r\nContent-Length: 3\r\n") != NULL);
    CHECK_TEXT(body(reply), "");
}

TEST(other_paths_are_not_found)
{
    CHECK(begins(talk("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "HTTP/1.1 404 "));
    CHECK(begins(talk("GET /livez/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                 "HTTP/1.1 404 "));
    CHECK(begins(talk("GET /../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                 "HTTP/1.1 404 "));
}

TEST(other_methods_are_not_allowed)
{
    talk("POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd");
    CHECK(begins(reply, "HTTP/1.1 405 "));
    CHECK(strstr(reply, "\r\nAllow: GET, HEAD\r\n") != NULL);
    CHECK(begins(talk("DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                 "HTTP/1.1 405 "));
}

TEST(a_body_is_refused_and_never_read_as_a_request)
{
    talk("GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 38\r\n\r\n"
         "GET /metrics HTTP/1.1\r\nHost: y\r\n\r\nxxxxxx");
    CHECK(begins(reply, "HTTP/1.1 400 "));
    CHECK(strstr(reply, "some_metric") == NULL);
    talk("GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
         "5\r\nabcde\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: y\r\n\r\n");
    CHECK(begins(reply, "HTTP/1.1 400 "));
    CHECK(strstr(reply, "some_metric") == NULL);
}

TEST(two_requests_share_a_connection)
{
    talk("GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\nConnection: "
         "close\r\n\r\n");
    CHECK(begins(reply, "HTTP/1.1 200 "));
    CHECK(strstr(reply, "HTTP/1.1 404 ") != NULL);
}

TEST(garbage_and_oversized_requests_do_no_harm)
{
    static const char start_line[] = "GET /livez HTTP/1.1\r\nX: ";
    static char large[60000];

    talk("\001\002\003 nonsense\r\n\r\n");
    CHECK(strstr(reply, "200") == NULL);
    memset(large, 'a', sizeof(large) - 1);
    (void)memmove(large, start_line, sizeof(start_line) - 1);
    int fd = dial();

    (void)send(fd, large, strlen(large), MSG_NOSIGNAL); /* the server may hang up before its end */
    close(fd);
    CHECK(begins(talk("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                 "HTTP/1.1 200 "));
}

#define MANY 100

static bool answers_again(void)
{
    for (int i = 0; i < 1000; i++) {
        if (begins(talk("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                   "HTTP/1.1 200 ")) {
            return true;
        }
        (void)poll(NULL, 0, 10);
    }
    return false;
}

TEST(a_client_that_holds_many_connections_keeps_no_other_out)
{
    int fds[MANY];

    for (size_t i = 0; i < MANY; i++) {
        fds[i] = dial();
        (void)send(fds[i], "GET /livez HT", 13, MSG_NOSIGNAL); /* some are hung up on */
    }
    CHECK(begins(talk_from(2, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
                 "HTTP/1.1 200 "));
    for (size_t i = 0; i < MANY; i++) {
        close(fds[i]);
    }
    CHECK(answers_again()); /* the server has yet to notice */
}

/* Sends byte after byte until the server hangs up; false if it never does. */
static bool dribble(int fd)
{
    struct pollfd event = {.fd = fd, .events = POLLIN};

    for (int i = 0; i < 1500; i++) {
        if (poll(&event, 1, 20) == 1) {
            return true;
        }
        (void)send(fd, "x", 1, MSG_NOSIGNAL);
    }
    return false;
}

TEST(a_request_that_comes_byte_by_byte_is_not_waited_for)
{
    int fd;

    mesh__http_stop(http);
    request_ms = 300;
    http = start_at("127.0.0.1:0");
    fd = dial();
    CHECK(send(fd, "GET /", 5, MSG_NOSIGNAL) == 5);
    CHECK(dribble(fd));
    close(fd);
}

TEST(a_connection_may_stay_as_long_as_its_requests_are_quick)
{
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd;

    mesh__http_stop(http);
    request_ms = 2000;
    http = start_at("127.0.0.1:0");
    fd = dial();
    for (int i = 0; i < 30; i++) {
        struct pollfd event = {.fd = fd, .events = POLLIN};

        CHECK(send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request));
        CHECK(recv(fd, reply, sizeof(reply), 0) > 0);
        CHECK_INT(poll(&event, 1, 100), 0); /* a while later it is still there */
    }
    close(fd);
}

TEST(a_taken_port_is_one_sentence)
{
    char address[32];
    char expected[128];
    int first = port;

    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", first);
    (void)snprintf(expected, sizeof(expected), "cannot listen on %s: Address already in use",
                   address);
    CHECK(start_at(address) == NULL);
    CHECK_TEXT(error, expected);
    CHECK_INT(port, first);
}

TEST(an_address_of_another_machine_is_one_sentence)
{
    CHECK(start_at("192.0.2.1:0") == NULL);
    CHECK_TEXT(error, "cannot listen on 192.0.2.1:0: Cannot assign requested address");
    CHECK(start_at("no.such.host.invalid:80") == NULL);
    CHECK(begins(error, "cannot listen on no.such.host.invalid:80: "));
}

TEST(the_age_of_the_process_is_told)
{
    int64_t age = mesh__process_age_ms();

    CHECK(age >= 0 && age < 120000);
}

/* The line of the metrics that name, with a newline before it, begins; freed by the caller. */
static char *process_line(const char *name)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    char *line;

    assert_non_null(out);
    mesh__process_metrics_write(out);
    (void)fclose(out);
    line = strstr(text, name);
    assert_non_null(line);
    line = strndup(line + 1, strcspn(line + 1, "\n"));
    free(text);
    return line;
}

TEST(the_start_of_the_process_is_the_same_at_every_scrape)
{
    char *first = process_line("\nprocess_start_time_seconds ");

    for (int i = 0; i < 1000; i++) {
        char *again = process_line("\nprocess_start_time_seconds ");

        CHECK_TEXT(again, first);
        free(again);
    }
    free(first);
}

TEST(promtool_accepts_the_process_metrics)
{
    FILE *promtool;

    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        skip();
    }
    promtool = popen("promtool check metrics >&2", "w");
    CHECK(promtool != NULL);
    mesh__process_metrics_write(promtool);
    CHECK_INT(pclose(promtool), 0);
}

TEST_MAIN(start, stop)
