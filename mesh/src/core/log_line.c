/* SPDX-License-Identifier: Apache-2.0 */
#include "core/log_line.h"

#include "core/utf8.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TAIL 64          /* kept free for what ends the line */
#define MESSAGE_MAX 4096 /* bytes as written */
#define VALUE_MAX 2048   /* of one field: none can push out all others */
#define ELLIPSIS "\xe2\x80\xa6"
#define MARK_ROOM 8 /* for the ellipsis and what closes the text */

/* A line under way. Nothing is written beyond end. */
struct line {
    char *at;
    char *end;
};

static bool put(struct line *line, const char *bytes, size_t size)
{
    if (size > (size_t)(line->end - line->at)) {
        return false;
    }
    memcpy(line->at, bytes, size);
    line->at += size;
    return true;
}

static bool put_text(struct line *line, const char *text)
{
    return put(line, text, strlen(text));
}

static bool put_number(struct line *line, int64_t number)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRId64, number);

    return n > 0 && put(line, text, (size_t)n);
}

/* ---- text ---- */

struct escaped {
    char bytes[8];
    size_t size;
    size_t used; /* bytes of the source */
};

static struct escaped escape_code(unsigned code, size_t used)
{
    struct escaped escaped = {.used = used};

    escaped.size = (size_t)snprintf(escaped.bytes, sizeof(escaped.bytes), "\\u%04x", code & 0xffff);
    return escaped;
}

static struct escaped escape_byte(char letter)
{
    return (struct escaped){{'\\', letter}, 2, 1};
}

/* One character that cannot be written as it is, or not for sure. */
static struct escaped escape(const char *at, size_t size, bool quoted)
{
    struct escaped escaped = {.used = mesh__utf8_step(at, size)};
    unsigned char c = (unsigned char)*at;

    switch (c) {
    case '\n':
        return escape_byte('n');
    case '\r':
        return escape_byte('r');
    case '\t':
        return escape_byte('t');
    case '"':
    case '\\':
        return quoted ? escape_byte(*at) : (struct escaped){{*at}, 1, 1};
    default:
        break;
    }
    if (c < 0x20 || c == 0x7f) {
        return escape_code(c, 1);
    }
    if (escaped.used == 0) { /* not UTF-8 */
        memcpy(escaped.bytes, MESH_UTF8_REPLACEMENT, strlen(MESH_UTF8_REPLACEMENT));
        escaped.size = strlen(MESH_UTF8_REPLACEMENT);
        escaped.used = 1;
        return escaped;
    }
    if (c == 0xc2 && (unsigned char)at[1] < 0xa0) { /* a terminal may obey these too */
        return escape_code((unsigned char)at[1], 2);
    }
    memcpy(escaped.bytes, at, escaped.used);
    escaped.size = escaped.used;
    return escaped;
}

static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

/* At most max bytes of text as written, with a mark where it was cut; leaves room for a quote. */
static void put_escaped(struct line *line, const char *text, size_t max, bool quoted)
{
    size_t room = (size_t)(line->end - line->at);
    struct line part = *line;

    room = room > MARK_ROOM ? room - MARK_ROOM : 0;
    part.end = line->at + (max < room ? max : room);
    for (size_t left = strlen(text); left > 0;) {
        struct escaped escaped = {{*text}, 1, 1};

        if (!is_plain(*text)) {
            escaped = escape(text, left, quoted);
        }
        if (!put(&part, escaped.bytes, escaped.size)) {
            part.end = line->end;
            put_text(&part, ELLIPSIS);
            break;
        }
        text += escaped.used;
        left -= escaped.used;
    }
    line->at = part.at;
}

/* ---- time ---- */

static void put_time(struct line *line, int64_t time_us, bool plain)
{
    time_t seconds = (time_t)(time_us / 1000000);
    int us = (int)(time_us % 1000000);
    struct tm tm = {0};
    char text[64];
    int n;

    if (plain) {
        localtime_r(&seconds, &tm);
        n = snprintf(text, sizeof(text), "%02d:%02d:%02d.%03d", tm.tm_hour, tm.tm_min, tm.tm_sec,
                     us / 1000);
    } else {
        gmtime_r(&seconds, &tm);
        n = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900,
                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, us);
    }
    put(line, text, (size_t)n);
}

/* ---- JSON ---- */

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const plain_levels[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

static bool put_json_key(struct line *line, const char *key)
{
    struct line before = *line;

    if (put_text(line, ",\"")) {
        put_escaped(line, key, 128, true);
        if (put_text(line, "\":")) {
            return true;
        }
    }
    *line = before;
    return false;
}

static bool put_json_text(struct line *line, const char *key, const char *text, size_t max)
{
    struct line before = *line;

    if (put_json_key(line, key) && put_text(line, "\"")) {
        put_escaped(line, text, max, true);
        if (put_text(line, "\"")) {
            return true;
        }
    }
    *line = before;
    return false;
}

static bool put_json_field(struct line *line, const struct mesh_log_field *field)
{
    struct line before = *line;

    if (field->text != NULL) {
        return put_json_text(line, field->key, field->text, VALUE_MAX);
    }
    if (put_json_key(line, field->key) && put_number(line, field->number)) {
        return true;
    }
    *line = before;
    return false;
}

size_t mesh__log_json(const struct mesh__log_entry *entry, char ret_line[MESH_LOG_LINE_MAX])
{
    struct line line = {ret_line, ret_line + MESH_LOG_LINE_MAX - TAIL};
    int64_t n_dropped = 0;

    put_text(&line, "{\"time\":\"");
    put_time(&line, entry->time_us, false);
    put_text(&line, "\"");
    put_json_text(&line, "level", level_names[entry->level], VALUE_MAX);
    put_json_text(&line, "service", entry->service, 256);
    put_json_text(&line, "message", entry->message, MESSAGE_MAX);
    for (size_t i = 0; i < entry->fields.n; i++) {
        n_dropped += !put_json_field(&line, &entry->fields.values[i]);
    }
    line.end = ret_line + MESH_LOG_LINE_MAX;
    if (n_dropped > 0) {
        put_text(&line, ",\"dropped_fields\":");
        put_number(&line, n_dropped);
    }
    put_text(&line, "}\n");
    return (size_t)(line.at - ret_line);
}

/* ---- plain ---- */

/* Whether a value reads unambiguously without quotes. */
static bool is_word(const char *text)
{
    size_t i = 0;

    while (is_plain(text[i]) && text[i] != ' ' && text[i] != '=') {
        i++;
    }
    return i > 0 && text[i] == '\0';
}

static void put_plain_value(struct line *line, const struct mesh_log_field *field)
{
    if (field->text == NULL) {
        put_number(line, field->number);
    } else if (is_word(field->text)) {
        put_escaped(line, field->text, VALUE_MAX, false);
    } else {
        put_text(line, "\"");
        put_escaped(line, field->text, VALUE_MAX, true);
        put_text(line, "\"");
    }
}

size_t mesh__log_plain(const struct mesh__log_entry *entry, char ret_line[MESH_LOG_LINE_MAX])
{
    struct line line = {ret_line, ret_line + MESH_LOG_LINE_MAX - TAIL};

    put_time(&line, entry->time_us, true);
    put_text(&line, " ");
    put_text(&line, plain_levels[entry->level]);
    put_text(&line, " ");
    put_escaped(&line, entry->service, 256, false);
    put_text(&line, "  ");
    put_escaped(&line, entry->message, MESSAGE_MAX, false);
    for (size_t i = 0; i < entry->fields.n; i++) {
        put_text(&line, " ");
        put_escaped(&line, entry->fields.values[i].key, 128, false);
        put_text(&line, "=");
        put_plain_value(&line, &entry->fields.values[i]);
    }
    line.end = ret_line + MESH_LOG_LINE_MAX;
    put_text(&line, "\n");
    return (size_t)(line.at - ret_line);
}
