/* SPDX-License-Identifier: Apache-2.0 */
#include "app/config.h"

#include "app/contradictions.h"
#include "app/values.h"
#include "core/arena.h"
#include "core/file.h"
#include "mesh/cleanup.h"
#include "rpc/resolver.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX 65536 /* bytes of a value that comes from a file */

struct mesh__config {
    struct mesh_arena *arena;
    struct mesh__variable *variables; /* the runtime's, the peers', the service's own */
    size_t n;
    size_t n_peers;
    const char **texts; /* NULL: not set and no default */
    int64_t *numbers;
    bool *given; /* not left to the default */
};

/* What one reading carries along. */
struct reading {
    struct mesh__config *config;
    char *const *env;
    unsigned needs;
    char *error;
    size_t error_size;
};

/* Writes the one sentence. */
static __attribute__((format(printf, 2, 3))) bool fail(struct reading *reading, const char *text,
                                                       ...)
{
    va_list args;

    va_start(args, text);
    (void)vsnprintf(reading->error, reading->error_size, text, args); /* cut: still the sentence */
    va_end(args);
    return false;
}

static size_t count_peers(const struct mesh_app_spec *spec)
{
    size_t n = 0;

    while (spec->peers != NULL && spec->peers[n].name != NULL) {
        n++;
    }
    return n;
}

static size_t count_settings(const struct mesh_app_spec *spec)
{
    size_t n = 0;

    while (spec->settings != NULL && spec->settings[n].name != NULL) {
        n++;
    }
    return n;
}

unsigned mesh__config_needs(const struct mesh_app_spec *spec)
{
    unsigned needs = NEED_PEERS | NEED_SETTINGS;

    if (spec->migrations != NULL) {
        needs |= NEED_DATABASE;
    }
    if (spec->publishes || spec->inbox != NULL) {
        needs |= NEED_BROKER;
    }
    return needs;
}

static char *format(struct mesh_arena *arena, const char *before, const char *text)
{
    size_t size = strlen(before) + strlen(text) + 1;
    char *made = mesh__arena_alloc(arena, size);

    (void)snprintf(made, size, "%s%s", before, text);
    return made;
}

static char upper(char c)
{
    if (c >= 'a' && c <= 'z') {
        return (char)(c - 'a' + 'A');
    }
    if (c == '-') {
        return '_';
    }
    return c;
}

static struct mesh__variable peer_variable(struct mesh_arena *arena, const struct mesh_peer *peer)
{
    char *name = format(arena, "MESH_PEER_", peer->name);

    for (char *c = name; *c != '\0'; c++) {
        *c = upper(*c);
    }
    return (struct mesh__variable){
        .name = name,
        .kind = KIND_TARGET,
        .need = NEED_PEERS,
        .required = true,
        .meaning = format(arena, "host:port, ip:port,ip:port, file:PATH or another gRPC target of ",
                          peer->name),
    };
}

static struct mesh__variable setting_variable(const struct mesh_setting *setting)
{
    static const enum mesh__var_kind kinds[] = {[MESH_SETTING_TEXT] = KIND_TEXT,
                                                [MESH_SETTING_INT64] = KIND_INT64,
                                                [MESH_SETTING_BOOL] = KIND_BOOL};

    return (struct mesh__variable){
        .name = setting->name,
        .kind = kinds[setting->kind],
        .default_value = setting->default_value,
        .min = setting->min,
        .max = setting->max,
        .need = NEED_SETTINGS,
        .required = setting->default_value == NULL,
        .may_be_empty = setting->kind == MESH_SETTING_TEXT && setting->default_value != NULL,
        .meaning = setting->meaning,
    };
}

/* The table of the service, without values. */
static struct mesh__config *config_new(const struct mesh_app_spec *spec)
{
    struct mesh_arena *arena = mesh__arena_new(0);
    struct mesh__config *config = mesh__arena_alloc(arena, sizeof(*config));
    size_t n_settings = count_settings(spec);

    config->arena = arena;
    config->n_peers = count_peers(spec);
    config->n = N_VARS + config->n_peers + n_settings;
    config->variables = mesh__arena_alloc(arena, config->n * sizeof(*config->variables));
    config->texts = mesh__arena_alloc(arena, config->n * sizeof(*config->texts));
    config->numbers = mesh__arena_alloc(arena, config->n * sizeof(*config->numbers));
    config->given = mesh__arena_alloc(arena, config->n * sizeof(*config->given));
    memcpy(config->variables, mesh__variables, sizeof(mesh__variables));
    for (size_t i = 0; i < config->n_peers; i++) {
        config->variables[N_VARS + i] = peer_variable(arena, &spec->peers[i]);
    }
    for (size_t i = 0; i < n_settings; i++) {
        config->variables[N_VARS + config->n_peers + i] = setting_variable(&spec->settings[i]);
    }
    return config;
}

void mesh__config_free(struct mesh__config *config)
{
    if (config != NULL) {
        mesh__arena_free(config->arena);
    }
}

/* ---- unknown variables ---------------------------------------------------------------------- */

static bool is_name(const char *entry, size_t size, const char *name, const char *suffix)
{
    size_t stem = strlen(name);

    return size == stem + strlen(suffix) && memcmp(entry, name, stem) == 0 &&
           memcmp(entry + stem, suffix, size - stem) == 0;
}

static bool is_known(const struct mesh__config *config, const char *entry, size_t size)
{
    for (size_t i = 0; i < config->n; i++) {
        if (is_name(entry, size, config->variables[i].name, "") ||
            is_name(entry, size, config->variables[i].name, "_FILE")) {
            return true;
        }
    }
    return false;
}

/* The size of the first word, with its underscore, that all settings begin with; 0 if there is
 * none. */
static size_t own_prefix(const struct mesh__config *config)
{
    size_t first = N_VARS + config->n_peers;
    const char *underscore;
    size_t size;

    if (first == config->n || (underscore = strchr(config->variables[first].name, '_')) == NULL) {
        return 0;
    }
    size = (size_t)(underscore - config->variables[first].name) + 1;
    for (size_t i = first + 1; i < config->n; i++) {
        if (strncmp(config->variables[i].name, config->variables[first].name, size) != 0) {
            return 0;
        }
    }
    return size;
}

static bool must_be_known(const struct mesh__config *config, const char *entry)
{
    size_t own = own_prefix(config);

    return strncmp(entry, "MESH_", 5) == 0 || strncmp(entry, "DATABASE_", 9) == 0 ||
           (own > 0 && strncmp(entry, config->variables[config->n - 1].name, own) == 0);
}

/* How many characters differ between two words (Levenshtein), for words of at most 63 characters.
 */
static size_t distance(const char *a, size_t a_size, const char *b)
{
    size_t row[64];
    size_t b_size = strlen(b);

    if (a_size >= 64 || b_size >= 64) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            size_t grown = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = changed < grown ? changed : grown;
        }
    }
    return row[b_size];
}

static const char *nearest(const struct mesh__config *config, const char *entry, size_t size)
{
    const char *name = NULL;
    size_t least = 4; /* more differences than three are no typing error */

    for (size_t i = 0; i < config->n; i++) {
        size_t d = distance(entry, size, config->variables[i].name);

        if (d < least) {
            least = d;
            name = config->variables[i].name;
        }
    }
    return name;
}

static bool refuse_unknown(struct reading *reading)
{
    for (char *const *env = reading->env; *env != NULL; env++) {
        size_t size = strcspn(*env, "=");
        const char *meant;

        if (!must_be_known(reading->config, *env) || is_known(reading->config, *env, size)) {
            continue;
        }
        meant = nearest(reading->config, *env, size);
        if (meant != NULL) {
            return fail(reading, "%.*s is not a known variable, expected perhaps %s.", (int)size,
                        *env, meant);
        }
        return fail(reading,
                    "%.*s is not a known variable, expected one of those that --help lists.",
                    (int)size, *env);
    }
    return true;
}

/* ---- values --------------------------------------------------------------------------------- */

static const char *find(char *const *env, const char *name, const char *suffix)
{
    for (; *env != NULL; env++) {
        size_t size = strcspn(*env, "=");

        if ((*env)[size] == '=' && is_name(*env, size, name, suffix)) {
            return *env + size + 1;
        }
    }
    return NULL;
}

/* suffix: where the value came from, "" or "_FILE". */
static bool refuse(struct reading *reading, const struct mesh__variable *variable,
                   const char *suffix, const char *text)
{
    const char *part_expected;
    const char *part;
    char expected[160];
    char buffer[MESH__SHOWN_SIZE];
    const char *before = suffix[0] == '\0' ? "" : "the content of ";

    mesh__value_expected(variable, expected, sizeof(expected));
    if (text == NULL) {
        return fail(reading, "%s is not set, expected %s.", variable->name, expected);
    }
    if (text[0] == '\0') {
        return fail(reading, "%s%s%s is empty, expected %s.", before, variable->name, suffix,
                    expected);
    }
    if (variable->secret) {
        part = mesh__value_flaw(variable, text, &part_expected);
        return fail(reading, "%s%s%s has %s that is not shown here, expected %s.", before,
                    variable->name, suffix, part != NULL ? part : "a value",
                    part_expected != NULL ? part_expected : expected);
    }
    return fail(reading, "%s%s%s is \"%s\", expected %s.", before, variable->name, suffix,
                mesh__shown(text, buffer), expected);
}

static bool refuse_file(struct reading *reading, const struct mesh__variable *variable,
                        const char *path, const char *why)
{
    char buffer[MESH__SHOWN_SIZE];

    return fail(reading, "%s_FILE is \"%s\", expected a file with the value (%s).", variable->name,
                mesh__shown(path, buffer), why);
}

static bool read_file(struct reading *reading, const struct mesh__variable *variable,
                      const char *path, const char **ret_text)
{
    struct mesh__text text = {0};
    char why[128];
    char *copy;
    bool fine = mesh__file_read(path, FILE_MAX, &text, why, sizeof(why));
    cleanup_free char *bytes = text.bytes;

    if (!fine) {
        return refuse_file(reading, variable, path, why);
    }
    if (memchr(bytes, '\0', text.size) != NULL) {
        return refuse_file(reading, variable, path, "it contains a NUL byte");
    }
    if (text.size > 0 && bytes[text.size - 1] == '\n') {
        bytes[--text.size] = '\0';
    }
    if (text.size > 0 && bytes[text.size - 1] == '\r') {
        bytes[--text.size] = '\0';
    }
    copy = mesh__arena_alloc(reading->config->arena, text.size + 1);
    memcpy(copy, bytes, text.size + 1);
    *ret_text = copy;
    return true;
}

/* *ret_text stays NULL if the variable is not set. */
static bool read_text(struct reading *reading, const struct mesh__variable *variable,
                      const char **ret_text, const char **ret_suffix)
{
    const char *text = find(reading->env, variable->name, "");
    const char *path = find(reading->env, variable->name, "_FILE");

    *ret_suffix = "";
    if (path == NULL) {
        *ret_text = text;
        return true;
    }
    if (text != NULL) {
        return fail(reading, "%s and %s_FILE are both set, expected only one of them.",
                    variable->name, variable->name);
    }
    *ret_suffix = "_FILE";
    return read_file(reading, variable, path, ret_text);
}

static bool read_variable(struct reading *reading, size_t i)
{
    struct mesh__config *config = reading->config;
    const struct mesh__variable *variable = &config->variables[i];
    const char *text = NULL;
    const char *suffix;

    if (!read_text(reading, variable, &text, &suffix)) {
        return false;
    }
    config->given[i] = text != NULL;
    if (text == NULL) {
        if (variable->required && (variable->need & reading->needs) != 0) {
            return refuse(reading, variable, suffix, NULL);
        }
        text = variable->default_value;
    }
    if (text == NULL) {
        return true;
    }
    if ((text[0] == '\0' && !variable->may_be_empty) ||
        !mesh__value_parse(variable, text, &config->numbers[i])) {
        return refuse(reading, variable, suffix, text);
    }
    config->texts[i] = format(config->arena, "", text);
    return true;
}

/* Defaults that depend on other variables. */
static void take_defaults(struct mesh__config *config)
{
    if (config->texts[VAR_DATABASE_SESSION_URL] == NULL) {
        config->texts[VAR_DATABASE_SESSION_URL] = config->texts[VAR_DATABASE_URL];
    }
    if (config->texts[VAR_LOG_FORMAT] == NULL) {
        config->texts[VAR_LOG_FORMAT] = isatty(STDERR_FILENO) ? "plain" : "json";
    }
    if (!config->given[VAR_DEFAULT_DEADLINE_MS] &&
        config->numbers[VAR_DEFAULT_DEADLINE_MS] > config->numbers[VAR_MAX_DEADLINE_MS]) {
        config->numbers[VAR_DEFAULT_DEADLINE_MS] = config->numbers[VAR_MAX_DEADLINE_MS];
    }
}

static bool read_all(struct reading *reading)
{
    if (!refuse_unknown(reading)) {
        return false;
    }
    for (size_t i = 0; i < reading->config->n; i++) {
        if (!read_variable(reading, i)) {
            return false;
        }
    }
    take_defaults(reading->config);
    return mesh__config_agrees(reading->config, reading->needs, reading->error,
                               reading->error_size);
}

struct mesh__config *mesh__config_read(const struct mesh_app_spec *spec, char *const *env,
                                       unsigned needs, char *error, size_t error_size)
{
    static char *const nothing[] = {NULL};
    struct reading reading = {.config = config_new(spec),
                              .env = env != NULL ? env : nothing,
                              .needs = needs & mesh__config_needs(spec),
                              .error = error,
                              .error_size = error_size};

    if (!read_all(&reading)) {
        mesh__config_free(reading.config);
        return NULL;
    }
    return reading.config;
}

bool mesh__config_given(const struct mesh__config *config, enum mesh__var var)
{
    return config->given[var];
}

const char *mesh__config_text(const struct mesh__config *config, enum mesh__var var)
{
    return config->texts[var];
}

int64_t mesh__config_int64(const struct mesh__config *config, enum mesh__var var)
{
    assert(config->variables[var].kind == KIND_INT64);
    return config->numbers[var];
}

bool mesh__config_bool(const struct mesh__config *config, enum mesh__var var)
{
    assert(config->variables[var].kind == KIND_BOOL);
    return config->numbers[var] != 0;
}

const char *mesh__config_peer(const struct mesh__config *config, size_t i)
{
    assert(i < config->n_peers);
    return config->texts[N_VARS + i];
}

const char *mesh__config_xds_peer(const struct mesh__config *config)
{
    for (size_t i = N_VARS; i < N_VARS + config->n_peers; i++) {
        if (config->texts[i] != NULL && mesh__target_is_xds(config->texts[i])) {
            return config->variables[i].name;
        }
    }
    return NULL;
}

const char *mesh__config_setting(const struct mesh__config *config, const char *name,
                                 enum mesh__var_kind kind, int64_t *ret_number)
{
    for (size_t i = N_VARS + config->n_peers; i < config->n; i++) {
        if (config->variables[i].kind == kind && strcmp(config->variables[i].name, name) == 0) {
            *ret_number = config->numbers[i];
            return config->texts[i];
        }
    }
    return NULL;
}

/* ---- help ----------------------------------------------------------------------------------- */

static const char *default_shown(const struct mesh__variable *variable)
{
    if (variable->shown_default != NULL) {
        return variable->shown_default;
    }
    if (variable->required) {
        return "(required)";
    }
    return variable->default_value[0] == '\0' ? "(empty)" : variable->default_value;
}

static size_t longer(size_t width, const char *text)
{
    return strlen(text) > width ? strlen(text) : width;
}

void mesh__config_help(const struct mesh_app_spec *spec, FILE *out)
{
    struct mesh__config *config = config_new(spec);
    unsigned needs = mesh__config_needs(spec);
    size_t name_width = 0;
    size_t default_width = 0;

    for (size_t i = 0; i < config->n; i++) {
        name_width = longer(name_width, config->variables[i].name);
        default_width = longer(default_width, default_shown(&config->variables[i]));
    }
    for (size_t i = 0; i < config->n; i++) {
        const struct mesh__variable *variable = &config->variables[i];

        if (variable->need == 0 || (variable->need & needs) != 0) {
            (void)fprintf(out, "  %-*s  %-*s  %s\n", (int)name_width, variable->name,
                          (int)default_width, default_shown(variable), variable->meaning);
        }
    }
    mesh__config_free(config);
}
