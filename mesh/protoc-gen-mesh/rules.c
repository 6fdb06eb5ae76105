/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include "pattern.h"

#include <inttypes.h>
#include <string.h>

/* ---- one check --------------------------------------------------------------------------------
 */

/* The text as a format that prints it. */
static const char *as_format(const char *text)
{
    struct text format = {0};

    for (; *text != '\0'; text++) {
        text_add(&format, text, 1);
        if (*text == '%') {
            text_add(&format, text, 1);
        }
    }
    return text_string(&format);
}

void emit_check(const struct checks *checks, const char *condition, const char *rule,
                const char *text)
{
    const char *format = as_format(text);

    text_printf(checks->out,
                "%sif (%s) {\n"
                "%s    mesh_violate(violations, %s, \"%s\", \"%s\");\n"
                "%s}\n",
                checks->indent, condition, checks->indent, checks->path, rule,
                text_c_escape(format, strlen(format)), checks->indent);
}

const char *zero_condition(const struct field *field, const char *value)
{
    switch (field->proto->type) {
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE:
        return gen_printf("protobuf_c_message_get_packed_size(&%s->base) == 0", value);
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING:
        return gen_printf("%s[0] == '\\0'", value);
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES:
        return gen_printf("%s.len == 0", value);
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_FLOAT:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_DOUBLE:
        /* Minus zero is sent, and so is a value. */
        return gen_printf("%s == 0 && !__builtin_signbit(%s)", value, value);
    default:
        return gen_printf("%s == 0", value);
    }
}

/* ---- strings and bytes ------------------------------------------------------------------------
 */

static const char *quoted(const char *text)
{
    return gen_printf("\"%s\"", text_c_escape(text, strlen(text)));
}

static void emit_length(const struct checks *checks, const char *condition, const char *rule,
                        const char *words, uint64_t n, const char *unit)
{
    emit_check(checks, gen_printf("%s UINT64_C(%" PRIu64 ")", condition, n), rule,
               gen_printf("must have %s%" PRIu64 " %s%s", words, n, unit, n == 1 ? "" : "s"));
}

static void emit_string_lengths(const struct checks *checks,
                                const Buf__Validate__StringRules *rules)
{
    const char *length = gen_printf("mesh_utf8_length(%s)", checks->value);
    const char *bytes = gen_printf("strlen(%s)", checks->value);

    if (rules->has_len) {
        emit_length(checks, gen_printf("%s !=", length), "string.len", "exactly ", rules->len,
                    "character");
    }
    if (rules->has_min_len && rules->min_len > 0) {
        emit_length(checks, gen_printf("%s <", length), "string.min_len", "at least ",
                    rules->min_len, "character");
    }
    if (rules->has_max_len && rules->max_len < UINT64_MAX) {
        emit_length(checks, gen_printf("%s >", length), "string.max_len", "at most ",
                    rules->max_len, "character");
    }
    if (rules->has_min_bytes && rules->min_bytes > 0) {
        emit_length(checks, gen_printf("%s <", bytes), "string.min_bytes", "at least ",
                    rules->min_bytes, "byte");
    }
    if (rules->has_max_bytes && rules->max_bytes < UINT64_MAX) {
        emit_length(checks, gen_printf("%s >", bytes), "string.max_bytes", "at most ",
                    rules->max_bytes, "byte");
    }
}

static void emit_string_list(const struct checks *checks, char *const *texts, size_t n, bool wanted)
{
    struct text condition = {0};
    struct text list = {0};

    if (n == 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        text_printf(&condition, "%sstrcmp(%s, %s) == 0", i > 0 ? " || " : "", checks->value,
                    quoted(texts[i]));
        text_printf(&list, "%s\"%s\"", i > 0 ? ", " : "", texts[i]);
    }
    emit_check(checks,
               wanted ? gen_printf("!(%s)", text_string(&condition)) : text_string(&condition),
               wanted ? "string.in" : "string.not_in",
               gen_printf("must %sbe one of %s", wanted ? "" : "not ", text_string(&list)));
}

static void emit_string_parts(const struct checks *checks, const Buf__Validate__StringRules *rules)
{
    const char *value = checks->value;

    if (rules->prefix != NULL && *rules->prefix != '\0') {
        emit_check(checks,
                   gen_printf("strncmp(%s, %s, %zu) != 0", value, quoted(rules->prefix),
                              strlen(rules->prefix)),
                   "string.prefix", gen_printf("must start with \"%s\"", rules->prefix));
    }
    if (rules->suffix != NULL && *rules->suffix != '\0') {
        size_t size = strlen(rules->suffix);

        emit_check(checks,
                   gen_printf("strlen(%s) < %zu || strcmp(%s + strlen(%s) - %zu, %s) != 0", value,
                              size, value, value, size, quoted(rules->suffix)),
                   "string.suffix", gen_printf("must end with \"%s\"", rules->suffix));
    }
    if (rules->contains != NULL && *rules->contains != '\0') {
        emit_check(checks, gen_printf("strstr(%s, %s) == NULL", value, quoted(rules->contains)),
                   "string.contains", gen_printf("must contain \"%s\"", rules->contains));
    }
}

bool rule_most_bytes(const Buf__Validate__StringRules *rules, uint64_t *ret_most)
{
    const uint64_t characters = rules->has_len ? rules->len : rules->max_len;

    if (rules->has_max_bytes) {
        *ret_most = rules->max_bytes;
    } else if (rules->has_len || rules->has_max_len) {
        *ret_most = characters > UINT64_MAX / 4 ? UINT64_MAX : characters * 4;
    } else {
        return false;
    }
    return *ret_most < UINT64_MAX;
}

/* Nothing is matched that is too long anyway: that would be work for whoever sends it. */
static void emit_pattern(const struct checks *checks, const Buf__Validate__StringRules *rules)
{
    const struct checks inner = {checks->out, checks->helpers, gen_printf("%s    ", checks->indent),
                                 checks->path, checks->value};
    const char *problem;
    uint64_t most;

    if (rule_most_bytes(rules, &most)) {
        text_printf(checks->out, "%sif (strlen(%s) <= UINT64_C(%" PRIu64 ")) {\n", checks->indent,
                    checks->value, most);
    } else {
        text_printf(checks->out, "%s{\n", checks->indent);
    }
    emit_automaton(checks->out, inner.indent, pattern_read(rules->pattern, &problem));
    emit_check(&inner, gen_printf("!mesh_matches(&pattern, %s)", checks->value), "string.pattern",
               gen_printf("must match the pattern %s", rules->pattern));
    text_printf(checks->out, "%s}\n", checks->indent);
}

static void emit_uuid(const struct checks *checks)
{
    const struct checks inner = {checks->out, checks->helpers, gen_printf("%s    ", checks->indent),
                                 checks->path, checks->value};

    text_printf(checks->out, "%sif (%s[0] == '\\0') {\n", checks->indent, checks->value);
    text_printf(checks->out,
                "%smesh_violate(violations, %s, \"string.uuid_empty\", \"must be a UUID, not "
                "empty\");\n%s} else {\n",
                inner.indent, checks->path, checks->indent);
    emit_check(&inner, gen_printf("!mesh_is_uuid(%s)", checks->value), "string.uuid",
               "must be a UUID");
    text_printf(checks->out, "%s}\n", checks->indent);
}

static void emit_string_checks(const struct checks *checks, const Buf__Validate__StringRules *rules)
{
    if (rules->const_ != NULL) {
        emit_check(checks, gen_printf("strcmp(%s, %s) != 0", checks->value, quoted(rules->const_)),
                   "string.const", gen_printf("must be \"%s\"", rules->const_));
    }
    emit_string_lengths(checks, rules);
    if (rules->pattern != NULL) {
        emit_pattern(checks, rules);
    }
    emit_string_parts(checks, rules);
    emit_string_list(checks, rules->in, rules->n_in, true);
    emit_string_list(checks, rules->not_in, rules->n_not_in, false);
    if (rules->well_known_case == BUF__VALIDATE__STRING_RULES__WELL_KNOWN_UUID && rules->uuid) {
        emit_uuid(checks);
    }
}

static void emit_bytes_checks(const struct checks *checks, const Buf__Validate__BytesRules *rules)
{
    if (rules->has_len) {
        emit_length(checks, gen_printf("%s.len !=", checks->value), "bytes.len", "exactly ",
                    rules->len, "byte");
    }
    if (rules->has_min_len && rules->min_len > 0) {
        emit_length(checks, gen_printf("%s.len <", checks->value), "bytes.min_len", "at least ",
                    rules->min_len, "byte");
    }
    if (rules->has_max_len && rules->max_len < UINT64_MAX) {
        emit_length(checks, gen_printf("%s.len >", checks->value), "bytes.max_len", "at most ",
                    rules->max_len, "byte");
    }
}

/* ---- enums ------------------------------------------------------------------------------------
 */

static bool seen_before(const Google__Protobuf__EnumDescriptorProto *enumeration, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (enumeration->value[i]->number == enumeration->value[index]->number) {
            return true;
        }
    }
    return false;
}

static void emit_defined_only(const struct checks *checks, const struct enumeration *enumeration)
{
    text_printf(checks->out, "%sswitch (%s) {\n", checks->indent, checks->value);
    for (size_t i = 0; i < enumeration->proto->n_value; i++) {
        if (!seen_before(enumeration->proto, i)) {
            text_printf(checks->out, "%scase %s:\n", checks->indent,
                        enumeration->proto->value[i]->number == INT32_MIN
                            ? "INT32_MIN"
                            : gen_printf("%d", enumeration->proto->value[i]->number));
        }
    }
    text_printf(checks->out,
                "%s    break;\n"
                "%sdefault:\n"
                "%s    mesh_violate(violations, %s, \"enum.defined_only\", \"must be one of the "
                "values of %s\");\n"
                "%s}\n",
                checks->indent, checks->indent, checks->indent, checks->path,
                enumeration->full_name, checks->indent);
}

static void emit_enum_checks(const struct checks *checks, const struct enumeration *enumeration,
                             const Buf__Validate__EnumRules *rules)
{
    /* const, in and not_in are those of a number. */
    emit_number_checks(checks, "enum", &rules->base);
    if (rules->defined_only) {
        emit_defined_only(checks, enumeration);
    }
}

/* ---- all kinds --------------------------------------------------------------------------------
 */

/* What is no duration or no time is wrong by itself, and cannot be compared. */
static void emit_time_checks(const struct checks *checks, const struct field *field,
                             const Buf__Validate__FieldRules *rules)
{
    bool duration = strcmp(field->message->full_name, "google.protobuf.Duration") == 0;
    const struct checks inner = {checks->out, checks->helpers, gen_printf("%s    ", checks->indent),
                                 checks->path, checks->value};
    const char *valid;

    if (!duration && strcmp(field->message->full_name, "google.protobuf.Timestamp") != 0) {
        return;
    }
    valid = gen_printf("mesh_is_%s(%s->seconds, %s->nanos)", duration ? "duration" : "timestamp",
                       checks->value, checks->value);
    emit_check(checks, gen_printf("!%s", valid), duration ? "duration.valid" : "timestamp.valid",
               duration ? "must be a valid duration" : "must be a valid time");
    if (rules->type_case == BUF__VALIDATE__FIELD_RULES__TYPE_DURATION) {
        text_printf(checks->out, "%sif (%s) {\n", checks->indent, valid);
        emit_duration_checks(&inner, rules->duration);
        text_printf(checks->out, "%s}\n", checks->indent);
    }
}

void emit_checks(const struct checks *checks, const struct field *field,
                 const Buf__Validate__FieldRules *rules)
{
    if (field->message != NULL) {
        emit_time_checks(checks, field, rules);
        return;
    }
    switch (rules->type_case) {
    case BUF__VALIDATE__FIELD_RULES__TYPE_STRING:
        emit_string_checks(checks, rules->string);
        return;
    case BUF__VALIDATE__FIELD_RULES__TYPE_BYTES:
        emit_bytes_checks(checks, rules->bytes);
        return;
    case BUF__VALIDATE__FIELD_RULES__TYPE_ENUM:
        emit_enum_checks(checks, field->enumeration, rules->enum_);
        return;
    case BUF__VALIDATE__FIELD_RULES__TYPE_BOOL:
        if (rules->bool_->has_const_) {
            emit_check(checks, gen_printf("%s%s", rules->bool_->const_ ? "!" : "", checks->value),
                       "bool.const",
                       gen_printf("must be %s", rules->bool_->const_ ? "true" : "false"));
        }
        return;
    case BUF__VALIDATE__FIELD_RULES__TYPE__NOT_SET:
    case BUF__VALIDATE__FIELD_RULES__TYPE_DURATION:
    case BUF__VALIDATE__FIELD_RULES__TYPE_REPEATED:
    case BUF__VALIDATE__FIELD_RULES__TYPE_MAP:
        return;
    default:
        break;
    }
    /* All the others are numbers; every member of the oneof is a pointer to a message. */
    emit_number_checks(checks,
                       protobuf_c_message_descriptor_get_field(
                           &buf__validate__field_rules__descriptor, rules->type_case)
                           ->name,
                       &rules->int64->base);
}
