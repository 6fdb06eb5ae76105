/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines for changes of state. Calls are logged by the runtime, one line each; handlers do not
 * log. */
#ifndef MESH_LOG_H
#define MESH_LOG_H

#include <stddef.h>
#include <stdint.h>

enum mesh_log_level { MESH_LOG_DEBUG, MESH_LOG_INFO, MESH_LOG_WARN, MESH_LOG_ERROR };

struct mesh_log_field {
    const char *key;
    const char *text; /* NULL: number is the value */
    int64_t number;
};

struct mesh_log_field mesh_log_text(const char *key, const char *text);
struct mesh_log_field mesh_log_int(const char *key, int64_t number);

struct mesh_log_fields {
    const struct mesh_log_field *values;
    size_t n;
};
#define MESH_LOG_FIELDS(...)                                                                       \
    ((struct mesh_log_fields){(const struct mesh_log_field[]){__VA_ARGS__},                        \
                              sizeof((const struct mesh_log_field[]){__VA_ARGS__}) /               \
                                  sizeof(struct mesh_log_field)})
#define MESH_LOG_NO_FIELDS ((struct mesh_log_fields){0, 0})

/*
 * Writes one line to standard error: a JSON object (or plain text on a terminal) with time, level,
 * service, message and the fields. In a service that runs it never waits for whoever reads standard
 * error: lines beyond a buffer of 512 KiB are dropped and counted. Thread-safe.
 * Text is escaped; longer than 4096 bytes, or 2048 of one field, is cut. Strings are borrowed for
 * the call.
 */
void mesh_log(enum mesh_log_level level, struct mesh_log_fields fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
