/* SPDX-License-Identifier: Apache-2.0 */
/* A log line is one line of valid JSON, whatever texts are in it. */
#include "core/log_line.h"
#include "core/utf8.h"
#include "fuzz.h"

/* Strings closed, braces closed, no control character. */
static void check_json(const char *line, size_t size)
{
    bool in_string = false;
    int depth = 0;

    MUST(size > 2 && line[size - 1] == '\n');
    MUST(mesh__utf8_valid(line, size) == size);
    for (size_t i = 0; i < size - 1; i++) {
        MUST((unsigned char)line[i] >= 0x20);
        if (in_string && line[i] == '\\') {
            i++;
        } else if (line[i] == '"') {
            in_string = !in_string;
        } else if (!in_string) {
            depth += (line[i] == '{') - (line[i] == '}');
        }
    }
    MUST(!in_string && depth == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char line[MESH_LOG_LINE_MAX];
    char *text = fuzz_text(data, size);
    struct mesh__log_entry entry = {.level = MESH_LOG_INFO, .service = "fuzz", .message = text};

    entry.fields = MESH_LOG_FIELDS(mesh_log_text("one", text), mesh_log_int("number", 1),
                                   mesh_log_text("two", text));
    check_json(line, mesh__log_json(&entry, line));
    MUST(mesh__log_plain(&entry, line) <= MESH_LOG_LINE_MAX);
    free(text);
    return 0;
}
