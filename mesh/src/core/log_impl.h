/* SPDX-License-Identifier: Apache-2.0 */
/* Setting up the log, for the runtime and its tests. */
#ifndef MESH_CORE_LOG_IMPL_H
#define MESH_CORE_LOG_IMPL_H

#include "mesh/log.h"

#include <stdarg.h>
#include <stdbool.h>

enum mesh__log_format { MESH__LOG_JSON, MESH__LOG_PLAIN };

/* Before it is called: service "", level INFO, JSON. service is borrowed for ever. */
void mesh__log_setup(const char *service, enum mesh_log_level level, enum mesh__log_format format);
/* Any thread, any time. */
void mesh__log_set_level(enum mesh_log_level level);
enum mesh_log_level mesh__log_level(void);
/* Whether a line of that level would be written: for what is dear to put together. */
bool mesh__log_enabled(enum mesh_log_level level);
/* "debug", "info", "warn", "error"; false for any other text. */
bool mesh__log_level_parse(const char *text, enum mesh_log_level *ret_level);

void mesh__log_v(enum mesh_log_level level, struct mesh_log_fields fields, const char *format,
                 va_list args) __attribute__((format(printf, 3, 0)));

/* Writes the line into ret_line, which has room for MESH_LOG_LINE_MAX; returns its size. */
size_t mesh__log_format(enum mesh_log_level level, struct mesh_log_fields fields,
                        const char *message, char *ret_line);

/*
 * For tests: lines go to sink, newline included, instead of standard error; NULL ends it. Not while
 * other threads log.
 */
void mesh__log_capture(void (*sink)(void *arg, const char *line, size_t size), void *arg);

#endif
