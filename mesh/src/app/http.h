/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP port: /livez, /readyz and /metrics in plain text, /debug/mesh as JSON, on one small
 * thread of its own. */
#ifndef MESH_APP_HTTP_H
#define MESH_APP_HTTP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct mesh__http;

struct mesh__http_options {
    const char *listen; /* "host:port" */
    /* NULL: alive, ready; otherwise why not, a string that lives for ever. */
    const char *(*not_alive)(void *arg);
    const char *(*not_ready)(void *arg);
    void (*metrics)(void *arg, FILE *out);
    void (*debug)(void *arg, FILE *out);
    int64_t request_ms; /* a request and its answer may take; 0: 10 s */
    void *arg;
};

/* NULL with a sentence in error if the port cannot be had. */
struct mesh__http *mesh__http_start(const struct mesh__http_options *options, int *ret_port,
                                    char *error, size_t error_size);
/* NULL is fine. */
void mesh__http_stop(struct mesh__http *http);

#endif
