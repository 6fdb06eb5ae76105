/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The published schema, the table of defaults and the charts' table are what the parser's own table
 * says. With MESH_WRITE_PAGES=1 in the environment they are written instead of compared.
 */
#include "core/file.h"
#include "core/text.h"
#include "mesh/status.h"
#include "policy/duration.h"
#include "policy/fields.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>

#define SCHEMA POLICY_ROOT "/helm/schema/mesh-policy.schema.json"
#define PAGE POLICY_ROOT "/docs/policy.md"
#define CHART POLICY_ROOT "/helm/mesh-common/files/fields.json"
#define BEGIN "<!-- the table of mesh/src/policy/fields.c -->\n"
#define END "<!-- its end -->\n"

static struct mesh__text page;
static int depth;

/* ---- a text with indented lines ------------------------------------------------------------- */

static void line(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void line(const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    CHECK(vsnprintf(text, sizeof(text), format, args) < (int)sizeof(text));
    va_end(args);
    mesh__text_printf(&page, "%*s%s\n", depth * 2, "", text);
}

/* Takes back the comma behind the last member. */
static void end_members(const char *closing)
{
    if (page.size >= 2 && page.bytes[page.size - 2] == ',') {
        page.size--;
        page.bytes[page.size - 1] = '\n';
        page.bytes[page.size] = '\0';
    }
    depth--;
    line("%s", closing);
}

/* "a|b" as "\"a\", \"b\"". */
static void add_words(const char *choices, struct mesh__text *text)
{
    for (const char *before = "\""; *choices != '\0'; before = ", \"") {
        size_t size = strcspn(choices, "|");

        mesh__text_printf(text, "%s%.*s\"", before, (int)size, choices);
        choices += size + (choices[size] == '|' ? 1 : 0);
    }
}

/* ---- the schema ----------------------------------------------------------------------------- */

static const char *const descriptions[][2] = {
    {"retries",
     "Attempts after the first. For methods that are IDEMPOTENT or NO_SIDE_EFFECTS alone."},
    {"hedging", "A second attempt before the first has failed. For unary methods with "
                "NO_SIDE_EFFECTS alone."},
    {"fault", "Failures on purpose."},
    {"fault.delay", "Attempts that wait before they are sent."},
    {"fault.delay.percentage", "How many."},
    {"fault.abort", "Attempts that fail without being sent."},
    {"fault.abort.percentage", "How many."},
    {"fault.header", "Which calls faults are for, by the header x-mesh-fault."},
    {"connectionPool", "Bounds of what is under way."},
    {"connectionPool.http", "Bounds of calls; the names are Istio's, and hold for HTTP/2."},
    {"outlierDetection", "Endpoints that fail get no calls for a while."},
    {"retryBudget", "Bound of retries and hedges together."},
    {"circuitBreaker", "A method that fails is not called for a while."},
};

static const char *describe(const char *path)
{
    for (size_t i = 0; i < sizeof(descriptions) / sizeof(descriptions[0]); i++) {
        if (strcmp(descriptions[i][0], path) == 0) {
            return descriptions[i][1];
        }
    }
    fail_msg("%s has no description", path);
    return "";
}

static void write_statuses(void)
{
    struct mesh__text words = {0};

    for (int i = MESH_CANCELLED; i <= MESH_UNAUTHENTICATED; i++) {
        mesh__text_printf(&words, "%s\"%s\"", words.size > 0 ? ", " : "",
                          mesh_status_name((enum mesh_status)i));
    }
    CHECK(words.bytes != NULL);
    line("\"enum\": [%s]", words.bytes);
    free(words.bytes);
}

static void write_type(const struct mesh__field *field)
{
    struct mesh__text words = {0};

    switch (field->kind) {
    case MESH__FIELD_DURATION:
        line("\"$ref\": \"#/$defs/duration\"");
        break;
    case MESH__FIELD_WHOLE:
        line("\"type\": \"integer\",");
        line("\"minimum\": %" PRId64 ",", field->zero != NULL ? 0 : field->min);
        line("\"maximum\": %" PRId64, field->max);
        break;
    case MESH__FIELD_PERCENTAGE:
        line("\"type\": \"number\",");
        line("\"minimum\": %" PRId64 ",", field->min);
        line("\"maximum\": %" PRId64, field->max);
        break;
    case MESH__FIELD_CHOICE:
        add_words(field->choices, &words);
        line("\"enum\": [%s]", words.bytes);
        break;
    case MESH__FIELD_SET:
        add_words(field->choices, &words);
        line("\"type\": \"array\",");
        line("\"items\": {\"enum\": [%s]},", words.bytes);
        line("\"minItems\": 1,");
        line("\"uniqueItems\": true");
        break;
    case MESH__FIELD_STATUS:
        write_statuses();
        break;
    case MESH__FIELD_TEXT:
        line("\"type\": \"string\",");
        line("\"pattern\": \"^[!#-\\\\[\\\\]-~]{1,128}$\"");
        break;
    }
    free(words.bytes);
}

static void write_field(const struct mesh__field *field, const char *name)
{
    struct mesh__text standard = {0};
    bool is_number = field->kind == MESH__FIELD_WHOLE || field->kind == MESH__FIELD_PERCENTAGE;

    mesh__field_print(field, field->standard, true, &standard);
    line("\"%s\": {", name);
    depth++;
    line("\"description\": \"%s By default %s.\",", field->meaning, standard.bytes);
    if (is_number && (field->standard != 0 || field->zero == NULL)) {
        line("\"default\": %s,", standard.bytes);
    }
    write_type(field);
    end_members("},");
    free(standard.bytes);
}

static bool is_shown(const struct mesh__field *field, bool defaults)
{
    return !defaults || !field->route_only;
}

static void write_members(const struct mesh__fields *table, const char *prefix, bool defaults);

static void write_object(const struct mesh__fields *table, const char *path, const char *name,
                         bool defaults)
{
    struct mesh__text required = {0};

    for (size_t i = 0; i < table->n; i++) {
        const char *member = mesh__field_member(&table->fields[i], path);

        if (table->fields[i].required && member != NULL && strchr(member, '.') == NULL) {
            mesh__text_printf(&required, "%s\"%s\"", required.size > 0 ? ", " : "", member);
        }
    }
    line("\"%s\": {", name);
    depth++;
    line("\"description\": \"%s\",", describe(path));
    line("\"type\": \"object\",");
    line("\"additionalProperties\": false,");
    if (required.size > 0) {
        line("\"required\": [%s],", required.bytes);
    }
    if (strcmp(path, "retries") == 0) {
        line("\"if\": {\"properties\": {\"attempts\": {\"const\": 0}}, \"required\": "
             "[\"attempts\"]},");
        line("\"then\": {\"maxProperties\": 1},");
    }
    line("\"properties\": {");
    depth++;
    write_members(table, path, defaults);
    end_members("}");
    end_members("},");
    free(required.bytes);
}

static void write_members(const struct mesh__fields *table, const char *prefix, bool defaults)
{
    char last[64] = "";

    for (size_t i = 0; i < table->n; i++) {
        const struct mesh__field *field = &table->fields[i];
        const char *member = is_shown(field, defaults) ? mesh__field_member(field, prefix) : NULL;
        char name[64];
        char path[96];

        if (member == NULL) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(member, "."), member);
        (void)snprintf(path, sizeof(path), "%.*s%s", (int)(member - field->path), field->path,
                       name);
        if (strcmp(member, name) == 0) {
            write_field(field, name);
        } else if (strcmp(name, last) != 0) {
            write_object(table, path, name, defaults);
        }
        (void)snprintf(last, sizeof(last), "%s", name);
    }
}

static void begin_object(const char *name, const char *description)
{
    line("\"%s\": {", name);
    depth++;
    line("\"description\": \"%s\",", description);
    line("\"type\": \"object\",");
    line("\"additionalProperties\": false,");
}

/* An object with the rows of a table, which stands among the definitions. */
static void write_definition(const char *name, const char *description,
                             const struct mesh__fields *table, bool defaults)
{
    begin_object(name, description);
    line("\"properties\": {");
    depth++;
    write_members(table, "", defaults);
    end_members("}");
    end_members("},");
}

static void write_map(const char *name, const char *description, const char *pattern,
                      const char *definition)
{
    begin_object(name, description);
    line("\"maxProperties\": 500,");
    line("\"patternProperties\": {\"%s\": {\"$ref\": \"#/$defs/%s\"}}", pattern, definition);
    end_members("},");
}

#define NAME "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
#define TYPE "[A-Za-z][A-Za-z0-9_]*(\\\\.[A-Za-z][A-Za-z0-9_]*)*"
#define METHOD "[A-Za-z][A-Za-z0-9_]*"

static void write_route(void)
{
    begin_object("route", "What holds for calls of a method, or of all methods of a gRPC service "
                          "that no other route names.");
    line("\"required\": [\"service\", \"grpcService\"],");
    line("\"properties\": {");
    depth++;
    line("\"service\": {\"description\": \"The destination.\", \"type\": \"string\", \"pattern\": "
         "\"" NAME "\"},");
    line("\"grpcService\": {\"description\": \"The full name of a gRPC service that it offers.\", "
         "\"type\": \"string\", \"maxLength\": 255, \"pattern\": \"^" TYPE "$\"},");
    line("\"methods\": {\"description\": \"Names of its methods; left out: all.\", \"type\": "
         "\"array\", \"minItems\": 1, \"maxItems\": 100, \"uniqueItems\": true, \"items\": "
         "{\"type\": "
         "\"string\", \"maxLength\": 255, \"pattern\": \"^" METHOD "$\"}},");
    line(
        "\"calls\": {\"description\": \"Methods that these call in turn, for the chart's sums of "
        "times.\", \"type\": \"array\", \"minItems\": 1, \"maxItems\": 100, \"uniqueItems\": true, "
        "\"items\": {\"type\": \"string\", \"pattern\": \"^" TYPE "/" METHOD "$\"}},");
    write_members(&mesh__route_fields, "", false);
    end_members("}");
    end_members("},");
}

static void write_top(void)
{
    struct mesh__text modes = {0};

    add_words(MESH__POLICY_MODES, &modes);
    line("\"$schema\": \"https://json-schema.org/draft/2020-12/schema\",");
    line("\"$comment\": \"SPDX-License-Identifier: Apache-2.0. Written from "
         "mesh/src/policy/fields.c.\",");
    line("\"title\": \"" MESH__POLICY_SCHEMA "\",");
    line("\"description\": \"What governs the outgoing calls of a system's services, in Istio's "
         "words.\",");
    line("\"type\": \"object\",");
    line("\"additionalProperties\": false,");
    line("\"required\": [\"schema\", \"mode\"],");
    line("\"properties\": {");
    depth++;
    line(
        "\"schema\": {\"description\": \"The form of the file.\", \"const\": \"" MESH__POLICY_SCHEMA
        "\"},");
    line("\"mode\": {\"description\": \"Who enforces it beside the service.\", \"enum\": [%s]},",
         modes.bytes);
    begin_object("defaults", "What holds where nothing more specific says otherwise.");
    line("\"properties\": {\"route\": {\"$ref\": \"#/$defs/defaultRoute\"}, \"destination\": "
         "{\"$ref\": \"#/$defs/destination\"}}");
    end_members("},");
    write_map("routes", "By names of your choice.", "^[A-Za-z][A-Za-z0-9-]{0,62}$", "route");
    write_map("destinations", "By the names of services.", NAME, "destination");
    end_members("},");
    free(modes.bytes);
}

static void write_schema(void)
{
    line("{");
    depth++;
    write_top();
    line("\"$defs\": {");
    depth++;
    line("\"duration\": {\"description\": \"One number, one unit: 500ms, 2s, 1.5s, 1m, 1h.\", "
         "\"type\": \"string\", \"pattern\": \"%s\"},",
         "^(0|[1-9][0-9]{0,8})(ms|s|m|h)$|^(0|[1-9][0-9]{0,8})\\\\.[0-9]{1,3}s$");
    write_definition("defaultRoute", "What holds for every call.", &mesh__route_fields, true);
    write_route();
    write_definition("destination", "What holds for all calls to a service together.",
                     &mesh__destination_fields, false);
    end_members("}");
    end_members("}");
}

/* ---- the table ------------------------------------------------------------------------------ */

static void write_range(const struct mesh__field *field, struct mesh__text *text)
{
    char min[MESH__DURATION_SIZE];
    char max[MESH__DURATION_SIZE];

    switch (field->kind) {
    case MESH__FIELD_DURATION:
        mesh__text_printf(text, "%s%s to %s", field->zero != NULL ? "0s, " : "",
                          mesh__duration_print(field->min, min),
                          mesh__duration_print(field->max, max));
        break;
    case MESH__FIELD_WHOLE:
        mesh__text_printf(text, "%" PRId64 " to %" PRId64, field->zero != NULL ? 0 : field->min,
                          field->max);
        break;
    case MESH__FIELD_PERCENTAGE:
        mesh__text_printf(text, "%" PRId64 " to %" PRId64 ", fractions too", field->min,
                          field->max);
        break;
    case MESH__FIELD_CHOICE:
    case MESH__FIELD_SET:
        for (const char *c = field->choices; *c != '\0'; c++) {
            mesh__text_printf(text, *c == '|' ? ", " : "%c", *c);
        }
        break;
    case MESH__FIELD_STATUS:
        mesh__text_adds(text, "the name of a gRPC code");
        break;
    case MESH__FIELD_TEXT:
        mesh__text_adds(text, "visible ASCII");
        break;
    }
}

static void write_rows(const char *title, const struct mesh__fields *table)
{
    line("| %s | can be | default | Istio's | |", title);
    line("| --- | --- | --- | --- | --- |");
    for (size_t i = 0; i < table->n; i++) {
        const struct mesh__field *field = &table->fields[i];
        struct mesh__text range = {0};
        struct mesh__text standard = {0};

        write_range(field, &range);
        mesh__field_print(field, field->standard, true, &standard);
        line("| `%s` | %s | %s | %s | %s |", field->path, range.bytes, standard.bytes,
             field->istio != NULL ? field->istio : "the same", field->meaning);
        free(range.bytes);
        free(standard.bytes);
    }
    line("%s", "");
}

/* ---- the charts' table ---------------------------------------------------------------------- */

/* What a template needs to check a value and to know it where none is given; durations in ms. */
static void write_chart_row(const struct mesh__field *field)
{
    static const char *const kinds[] = {[MESH__FIELD_DURATION] = "duration",
                                        [MESH__FIELD_WHOLE] = "whole",
                                        [MESH__FIELD_PERCENTAGE] = "percentage",
                                        [MESH__FIELD_CHOICE] = "choice",
                                        [MESH__FIELD_SET] = "set",
                                        [MESH__FIELD_STATUS] = "status",
                                        [MESH__FIELD_TEXT] = "text"};
    bool is_bounded = field->kind == MESH__FIELD_DURATION || field->kind == MESH__FIELD_WHOLE;
    bool is_number = field->kind == MESH__FIELD_WHOLE || field->kind == MESH__FIELD_PERCENTAGE;
    bool has_standard = field->kind != MESH__FIELD_STATUS && field->kind != MESH__FIELD_TEXT;
    const char *quote = is_number ? "" : "\"";
    struct mesh__text row = {0};

    mesh__text_printf(&row, "\"%s\": {\"kind\": \"%s\"", field->path, kinds[field->kind]);
    if (is_bounded) {
        mesh__text_printf(&row, ", \"min\": %" PRId64 ", \"max\": %" PRId64 ", \"zero\": %s",
                          field->min, field->max, field->zero != NULL ? "true" : "false");
    }
    if (has_standard) {
        mesh__text_printf(&row, ", \"standard\": %s", quote);
        mesh__field_print(field, field->standard, false, &row);
        mesh__text_adds(&row, quote);
    }
    if (field->not_proxyless) {
        mesh__text_adds(&row, ", \"notProxyless\": true");
    }
    if (field->proxyless_max > 0) {
        mesh__text_printf(&row, ", \"proxylessMax\": %" PRId64, field->proxyless_max);
    }
    if (field->proxyless_only != NULL) {
        mesh__text_printf(&row, ", \"proxylessOnly\": \"%s\"", field->proxyless_only);
    }
    line("%s},", row.bytes);
    free(row.bytes);
}

static void write_chart_rows(const char *name, const struct mesh__fields *table)
{
    line("\"%s\": {", name);
    depth++;
    for (size_t i = 0; i < table->n; i++) {
        write_chart_row(&table->fields[i]);
    }
    end_members("},");
}

static void write_chart(void)
{
    line("{");
    depth++;
    write_chart_rows("route", &mesh__route_fields);
    write_chart_rows("destination", &mesh__destination_fields);
    end_members("}");
}

/* ---- compared ------------------------------------------------------------------------------- */

static char *read_text(const char *path)
{
    struct mesh__text text = {0};
    char why[128];

    if (!mesh__file_read(path, 1 << 20, &text, why, sizeof(why))) {
        fail_msg("%s: %s", path, why);
    }
    return text.bytes;
}

static bool is_writing(void)
{
    return getenv("MESH_WRITE_PAGES") != NULL;
}

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    CHECK(out != NULL && fputs(text, out) >= 0 && fclose(out) == 0);
}

static void begin_page(void)
{
    free(page.bytes);
    page = (struct mesh__text){0};
    depth = 0;
}

static void compare(const char *path)
{
    char *published;

    if (is_writing()) {
        write_text(path, page.bytes);
    }
    published = read_text(path);
    CHECK_TEXT(published, page.bytes);
    free(published);
}

TEST(the_published_schema_is_the_parsers_table)
{
    begin_page();
    write_schema();
    compare(SCHEMA);
}

TEST(the_table_of_the_charts_is_the_parsers_table)
{
    begin_page();
    write_chart();
    compare(CHART);
}

TEST(the_table_of_defaults_is_the_parsers_table)
{
    char *published = read_text(PAGE);
    char *begin = strstr(published, BEGIN);
    char *end = strstr(published, END);

    CHECK(begin != NULL && end != NULL && begin < end);
    begin_page();
    *begin = '\0';
    mesh__text_printf(&page, "%s" BEGIN "\n", published);
    *begin = BEGIN[0];
    write_rows("route", &mesh__route_fields);
    write_rows("destination", &mesh__destination_fields);
    mesh__text_adds(&page, end);
    if (is_writing()) {
        write_text(PAGE, page.bytes);
        free(published);
        published = read_text(PAGE);
    }
    CHECK_TEXT(published, page.bytes);
    free(published);
}

static int forget(void **state)
{
    (void)state;
    free(page.bytes);
    return 0;
}

TEST_MAIN(NULL, forget)
