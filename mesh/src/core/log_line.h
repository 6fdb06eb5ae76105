/* SPDX-License-Identifier: Apache-2.0 */
/* Puts one log line together, bounded in size, whatever bytes the texts hold. */
#ifndef MESH_CORE_LOG_LINE_H
#define MESH_CORE_LOG_LINE_H

#include "mesh/log.h"

#define MESH_LOG_LINE_MAX 8192 /* with its newline */

struct mesh__log_entry {
    int64_t time_us;
    enum mesh_log_level level;
    const char *service;
    const char *message;
    struct mesh_log_fields fields;
};

/* Each writes the line, ending with a newline and without a NUL, and returns its size. */
size_t mesh__log_json(const struct mesh__log_entry *entry, char ret_line[MESH_LOG_LINE_MAX]);
/* For terminals: "15:04:05.123 INFO  order  message key=value", local time. */
size_t mesh__log_plain(const struct mesh__log_entry *entry, char ret_line[MESH_LOG_LINE_MAX]);

#endif
