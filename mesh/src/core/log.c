/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/log.h"

#include "core/clock.h"
#include "core/log_impl.h"
#include "core/log_line.h"
#include "core/log_writer.h"
#include "core/utf8.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 4096

static const char *service_name = "";
static enum mesh__log_format line_format = MESH__LOG_JSON;
static atomic_int lowest_level = MESH_LOG_INFO;

static void put_line(void *arg, const char *line, size_t size)
{
    (void)arg;
    mesh__log_put(line, size);
}

static void (*sink_write)(void *arg, const char *line, size_t size) = put_line;
static void *sink_arg;

void mesh__log_setup(const char *service, enum mesh_log_level level, enum mesh__log_format format)
{
    service_name = service;
    line_format = format;
    mesh__log_set_level(level);
}

void mesh__log_set_level(enum mesh_log_level level)
{
    atomic_store_explicit(&lowest_level, (int)level, memory_order_relaxed);
}

enum mesh_log_level mesh__log_level(void)
{
    return (enum mesh_log_level)atomic_load_explicit(&lowest_level, memory_order_relaxed);
}

bool mesh__log_enabled(enum mesh_log_level level)
{
    return level >= mesh__log_level();
}

bool mesh__log_level_parse(const char *text, enum mesh_log_level *ret_level)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(text, levels[i]) == 0) {
            *ret_level = (enum mesh_log_level)i;
            return true;
        }
    }
    return false;
}

void mesh__log_capture(void (*sink)(void *arg, const char *line, size_t size), void *arg)
{
    sink_write = sink != NULL ? sink : put_line;
    sink_arg = arg;
}

struct mesh_log_field mesh_log_text(const char *key, const char *text)
{
    return (struct mesh_log_field){key, text != NULL ? text : "", 0};
}

struct mesh_log_field mesh_log_int(const char *key, int64_t number)
{
    return (struct mesh_log_field){key, NULL, number};
}

size_t mesh__log_format(enum mesh_log_level level, struct mesh_log_fields fields,
                        const char *message, char *ret_line)
{
    const struct mesh__log_entry entry = {mesh__clock->wall_us(), level, service_name, message,
                                          fields};

    return line_format == MESH__LOG_JSON ? mesh__log_json(&entry, ret_line)
                                         : mesh__log_plain(&entry, ret_line);
}

void mesh__log_v(enum mesh_log_level level, struct mesh_log_fields fields, const char *format,
                 va_list args)
{
    char message[MESSAGE_MAX];
    char line[MESH_LOG_LINE_MAX];
    const char *text = message;
    int error = errno; /* who logs on the way out of a failure still needs it */
    int n;

    if (!mesh__log_enabled(level)) {
        return;
    }
    n = vsnprintf(message, sizeof(message), format, args);
    if (n < 0) {
        text = format; /* a wide character that the locale cannot show */
    } else if ((size_t)n >= sizeof(message)) {
        memcpy(message + mesh__utf8_cut(message, sizeof(message) - sizeof("…")), "…", sizeof("…"));
    }
    sink_write(sink_arg, line, mesh__log_format(level, fields, text, line));
    errno = error;
}

void mesh_log(enum mesh_log_level level, struct mesh_log_fields fields, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    mesh__log_v(level, fields, format, args);
    va_end(args);
}
