/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_MS 30000

static _Noreturn void run_child(int out, int (*main_function)(int argc, char **argv),
                                const char *const *argv, const char *const *env)
{
    char *args[8] = {0};
    int argc = 0;

    for (int i = 1; i < NSIG; i++) {
        (void)signal(i, SIG_DFL); /* cmocka's would run the rest of the tests here, too */
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing behind */
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    close(out);
    for (; argv[argc] != NULL; argc++) {
        args[argc] = strdup(argv[argc]);
    }
    if (clearenv() != 0) {
        _exit(99);
    }
    for (; *env != NULL; env++) {
        if (putenv(strdup(*env)) != 0) {
            _exit(99);
        }
    }
    int code = main_function(argc, args);

    for (int i = 0; i < argc; i++) {
        free(args[i]);
    }
    exit(code);
}

void child_start(struct child *child, int (*main_function)(int argc, char **argv),
                 const char *const *argv, const char *const *env)
{
    int ends[2];

    memset(child, 0, sizeof(*child));
    (void)fflush(NULL);
    if (pipe(ends) != 0 || (child->pid = fork()) < 0) {
        perror("child_start");
        abort();
    }
    if (child->pid == 0) {
        close(ends[0]);
        run_child(ends[1], main_function, argv, env);
    }
    close(ends[1]);
    child->fd = ends[0];
}

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False at the end of the output or of the time. */
static bool read_more(struct child *child, long long until_ms)
{
    struct pollfd fd = {.fd = child->fd, .events = POLLIN};
    long long left_ms = until_ms - now_ms();
    ssize_t n;

    if (left_ms <= 0 || child->size == sizeof(child->text) - 1 || poll(&fd, 1, (int)left_ms) <= 0) {
        return false;
    }
    n = read(child->fd, child->text + child->size, sizeof(child->text) - 1 - child->size);
    if (n <= 0) {
        return false;
    }
    child->size += (size_t)n;
    return true;
}

bool child_wait_text(struct child *child, const char *text)
{
    long long until_ms = now_ms() + LONGEST_MS;

    while (strstr(child->text, text) == NULL) {
        if (!read_more(child, until_ms)) {
            (void)fprintf(stderr, "no \"%s\" in:\n%s\n", text, child->text);
            return false;
        }
    }
    return true;
}

int child_wait(struct child *child)
{
    long long until_ms = now_ms() + LONGEST_MS;
    int status = 0;

    while (read_more(child, until_ms)) {
    }
    if (now_ms() >= until_ms) {
        (void)fprintf(stderr, "it does not end:\n%s\n", child->text);
        kill(child->pid, SIGKILL);
    }
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    close(child->fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

long child_number(const struct child *child, const char *key)
{
    char quoted[64];
    const char *at;

    (void)snprintf(quoted, sizeof(quoted), "\"%s\":", key);
    at = strstr(child->text, quoted);
    return at == NULL ? -1 : strtol(at + strlen(quoted), NULL, 10);
}

int http_get(long port, const char *path, char *ret_body, size_t size)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    static char reply[262144];
    char request[256];
    size_t used = 0;
    ssize_t n;
    const char *body;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ret_body[0] = '\0';
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return 0;
    }
    (void)snprintf(request, sizeof(request),
                   "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    (void)send(fd, request, strlen(request), MSG_NOSIGNAL);
    while ((n = recv(fd, reply + used, sizeof(reply) - 1 - used, 0)) > 0) {
        used += (size_t)n;
    }
    close(fd);
    reply[used] = '\0';
    body = strstr(reply, "\r\n\r\n");
    if (body == NULL || strncmp(reply, "HTTP/1.1 ", 9) != 0) {
        return 0;
    }
    (void)snprintf(ret_body, size, "%s", body + 4);
    return (int)strtol(reply + 9, NULL, 10);
}
