/* SPDX-License-Identifier: Apache-2.0 */
/* A process of a service under test: its environment, what it writes, how it ends. */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    int fd;            /* its standard output and error */
    char text[262144]; /* what it has written so far */
    size_t size;
};

/*
 * Starts main_function(argv...) in a process of its own with exactly this environment. Both lists
 * end with NULL. The test ends if that fails.
 */
void child_start(struct child *child, int (*main_function)(int argc, char **argv),
                 const char *const *argv, const char *const *env);
/* Reads on until it has written this; fails if it ends first or does not do so within 30 s. */
bool child_wait_text(struct child *child, const char *text);
/* Reads on until it ends; the exit code, or 128 + the signal that ended it. */
int child_wait(struct child *child);
/* The number behind `"key":` in what it wrote; -1 if there is none. */
long child_number(const struct child *child, const char *key);

/* GET path on a port of this machine; the status code, 0 if nobody answers. The body is written to
 * ret_body. */
int http_get(long port, const char *path, char *ret_body, size_t size);

#endif
