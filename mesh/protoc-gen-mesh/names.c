/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include "text.h"

#include <ctype.h>
#include <dlfcn.h>
#include <string.h>

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static char to_upper(char c)
{
    return (char)toupper((unsigned char)c);
}

static char to_lower(char c)
{
    return (char)tolower((unsigned char)c);
}

static void add_char(struct text *text, char c)
{
    text_add(text, &c, 1);
}

static void add_camel(struct text *text, const char *piece, size_t size)
{
    bool start = true;

    for (size_t i = 0; i < size; i++) {
        if (piece[i] == '_') {
            start = true;
            continue;
        }
        if (start) {
            add_char(text, to_upper(piece[i]));
        } else {
            add_char(text, piece[i]);
        }
        start = false;
    }
}

/* protobuf-c's way: no boundary inside a run of upper case. */
static void add_split(struct text *text, const char *piece, size_t size, char (*convert)(char))
{
    bool was_upper = true;

    for (size_t i = 0; i < size; i++) {
        if (is_upper(piece[i]) && !was_upper) {
            add_char(text, '_');
        }
        was_upper = is_upper(piece[i]);
        add_char(text, convert(piece[i]));
    }
}

static void add_split_lower(struct text *text, const char *piece, size_t size)
{
    add_split(text, piece, size, to_lower);
}

static void add_split_upper(struct text *text, const char *piece, size_t size)
{
    add_split(text, piece, size, to_upper);
}

static char *join_pieces(const char *full_name, void (*add)(struct text *, const char *, size_t))
{
    struct text name = {0};

    text_add(&name, "", 0);
    while (*full_name != '\0') {
        size_t size = strcspn(full_name, ".");

        if (size > 0) {
            if (name.size > 0) {
                text_add(&name, "__", 2);
            }
            add(&name, full_name, size);
        }
        full_name += size;
        full_name += *full_name == '.';
    }
    return name.data;
}

char *name_c_type(const char *full_name)
{
    return join_pieces(full_name, add_camel);
}

char *name_c_lower(const char *full_name)
{
    return join_pieces(full_name, add_split_lower);
}

char *name_c_upper(const char *full_name)
{
    return join_pieces(full_name, add_split_upper);
}

static bool is_in(const char *const *words, const char *word)
{
    for (; *words != NULL; words++) {
        if (strcmp(*words, word) == 0) {
            return true;
        }
    }
    return false;
}

char *name_c_field(const char *name)
{
    /* The keywords of C++, as protobuf-c lists them. */
    static const char *const keywords[] = {
        "and",     "and_eq",    "asm",          "auto",     "bitand",      "bitor",
        "bool",    "break",     "case",         "catch",    "char",        "class",
        "compl",   "const",     "const_cast",   "continue", "default",     "delete",
        "do",      "double",    "dynamic_cast", "else",     "enum",        "explicit",
        "extern",  "false",     "float",        "for",      "friend",      "goto",
        "if",      "inline",    "int",          "long",     "mutable",     "namespace",
        "new",     "not",       "not_eq",       "operator", "or",          "or_eq",
        "private", "protected", "public",       "register", "return",      "short",
        "signed",  "sizeof",    "static",       "struct",   "static_cast", "reinterpret_cast",
        "switch",  "template",  "this",         "throw",    "true",        "try",
        "typedef", "typeid",    "typename",     "union",    "unsigned",    "using",
        "virtual", "void",      "volatile",     "wchar_t",  "while",       "xor",
        "xor_eq",  NULL};
    char *lower = gen_printf("%s", name);

    for (char *c = lower; *c != '\0'; c++) {
        *c = to_lower(*c);
    }
    return is_in(keywords, lower) ? gen_printf("%s_", lower) : lower;
}

char *name_snake(const char *camel)
{
    struct text snake = {0};

    text_add(&snake, "", 0);
    for (size_t i = 0; camel[i] != '\0'; i++) {
        bool boundary = i > 0 && is_upper(camel[i]) && camel[i - 1] != '_' &&
                        (!is_upper(camel[i - 1]) || islower((unsigned char)camel[i + 1]));

        if (boundary) {
            add_char(&snake, '_');
        }
        add_char(&snake, to_lower(camel[i]));
    }
    return snake.data;
}

char *name_upper(const char *snake)
{
    char *upper = gen_printf("%s", snake);

    for (char *c = upper; *c != '\0'; c++) {
        *c = to_upper(*c);
    }
    return upper;
}

char *name_identifier(const char *text)
{
    char *name = gen_printf("%s", text);

    for (char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c)) {
            *c = '_';
        }
    }
    return name;
}

bool name_is_reserved(const char *name)
{
    /* Keywords and the object-like macros of the compiler and of the headers in use. */
    static const char *const words[] = {
        "asm",     "auto",     "bool",     "break",  "case",     "char",   "const",   "continue",
        "default", "do",       "double",   "else",   "enum",     "errno",  "extern",  "false",
        "float",   "for",      "goto",     "i386",   "if",       "inline", "int",     "linux",
        "long",    "register", "restrict", "return", "short",    "signed", "sizeof",  "static",
        "stderr",  "stdin",    "stdout",   "struct", "switch",   "true",   "typedef", "typeof",
        "union",   "unix",     "unsigned", "void",   "volatile", "while",  NULL};
    static const char *const long_words[] = {"cleanup_ctx", "cleanup_fd",    "cleanup_free",
                                             "cleanup_tx",  "static_assert", NULL};

    /* Two underlines at the beginning belong to the compiler: __func__, __linux__. */
    return strncmp(name, "__", 2) == 0 || is_in(words, name) || is_in(long_words, name);
}

/* True if the name is the word, or begins with it and a "_". */
static bool begins_with(const char *name, const char *word)
{
    size_t size = strlen(word);

    return strncmp(name, word, size) == 0 && (name[size] == '_' || name[size] == '\0');
}

const char *name_library(const char *name)
{
    /* The runtime, and the libraries below it whose names look like ours. */
    static const char *const libraries[] = {"gpr", "grpc", "lo",         "mesh", "nats",
                                            "pb",  "pg",   "protobuf_c", NULL};

    for (const char *const *library = libraries; *library != NULL; library++) {
        if (begins_with(name, *library)) {
            return *library;
        }
    }
    return NULL;
}

const char *name_of_c(const char *name)
{
    if (name_is_reserved(name)) {
        return gen_printf("%s is a word of C", name);
    }
    if (name_has_suffix(name, "_t")) {
        return gen_printf("%s would be a type of C", name);
    }
    /* This program has the same C library as those that it writes: it need not know a list. */
    if (dlsym(RTLD_DEFAULT, name) != NULL) {
        return gen_printf("%s is a function of the C library", name);
    }
    return NULL;
}

bool name_has_suffix(const char *name, const char *suffix)
{
    size_t size = strlen(name);
    size_t suffix_size = strlen(suffix);

    return size >= suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}
