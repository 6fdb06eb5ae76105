/* SPDX-License-Identifier: Apache-2.0 */
/* A server in a process of its own, for attacks on it: prints its port and serves until its
 * standard input ends. */
#include "core/log_impl.h"
#include "core/log_writer.h"
#include "server_served.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static MESH_STATUS ignore_everything(struct mesh_ctx *ctx, struct served *served,
                                     const Check__V1__Words *request, struct mesh_stream *stream)
{
    (void)ctx;
    (void)served;
    (void)request;
    (void)stream;
    while (pause() != 0) {
    }
    return MESH_OK; /* never */
}

/* From now on only a few descriptors more. */
static void limit_files(void)
{
    int next = dup(STDIN_FILENO);
    struct rlimit limit = {(rlim_t)next + 20, (rlim_t)next + 20};

    MUST(next >= 0 && close(next) == 0);
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* "stubborn": its handlers of Fail never end. "poor": it has few descriptors. For each byte of its
 * standard input it says what a probe of its port does. */
int main(int argc, char **argv)
{
    static struct served served;
    char byte;

    (void)signal(SIGPIPE, SIG_IGN);
    mesh__log_setup("victim", MESH_LOG_INFO, MESH__LOG_JSON);
    mesh__log_start();
    served_init(&served);
    if (argc > 1 && strcmp(argv[1], "stubborn") == 0) {
        served.script = ignore_everything;
        served.options.grace_ms = 50;
        served.options.cancel_ms = 50;
    }
    served.options.workers = 32;
    served.options.queue_size = 1024;
    served.options.queue_bytes = 16 << 20;
    served.options.stream_limit = 64;
    served.options.max_message_bytes = 4 << 20;
    served.options.arena_bytes = 16 << 20;
    served.options.memory_bytes = (size_t)32 << 20;
    served.options.default_deadline_ms = 2000;
    served_start_aloud(&served);
    (void)printf("%d\n", served.port);
    (void)fflush(stdout);
    if (argc > 1 && strcmp(argv[1], "poor") == 0) {
        limit_files();
    }
    while (read(STDIN_FILENO, &byte, 1) > 0) {
        (void)printf("%d\n", (int)mesh__server_probe(served.server, 1000));
        (void)fflush(stdout);
    }
    served_done(&served);
    mesh__log_stop();
    return 0;
}
