/* SPDX-License-Identifier: Apache-2.0 */
#include "pattern.h"
#include "rules.h"

#include <string.h>

typedef Buf__Validate__FieldRules field_rules;
typedef Google__Protobuf__FieldDescriptorProto__Type field_type;

/* The name of the rules as an author writes it: "int64". */
static const char *kind_name(const field_rules *rules)
{
    return protobuf_c_message_descriptor_get_field(rules->base.descriptor, rules->type_case)->name;
}

/* The type of field that the rules are for; 0 for none of its own. */
static int type_of_rules(const field_rules *rules)
{
#define TYPE(kind)                                                                                 \
    case BUF__VALIDATE__FIELD_RULES__TYPE_##kind:                                                  \
        return GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##kind
    switch (rules->type_case) {
        TYPE(FLOAT);
        TYPE(DOUBLE);
        TYPE(INT32);
        TYPE(INT64);
        TYPE(UINT32);
        TYPE(UINT64);
        TYPE(SINT32);
        TYPE(SINT64);
        TYPE(FIXED32);
        TYPE(FIXED64);
        TYPE(SFIXED32);
        TYPE(SFIXED64);
        TYPE(BOOL);
        TYPE(STRING);
        TYPE(BYTES);
        TYPE(ENUM);
    case BUF__VALIDATE__FIELD_RULES__TYPE_DURATION:
        return GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE;
    default:
        return 0;
    }
#undef TYPE
}

static bool fits(const struct field *field, const field_rules *rules)
{
    if (rules->type_case == BUF__VALIDATE__FIELD_RULES__TYPE_DURATION) {
        return field->message != NULL &&
               strcmp(field->message->full_name, "google.protobuf.Duration") == 0;
    }
    return type_of_rules(rules) == (int)field->proto->type;
}

/* Why the pattern cannot be used with these rules; NULL if it can. */
static const char *pattern_reason(const Buf__Validate__StringRules *rules)
{
    const char *reason;
    const struct pattern *pattern = pattern_read(rules->pattern, &reason);
    struct text unused = {0};
    uint64_t most;

    if (pattern == NULL) {
        return reason;
    }
    if (!emit_automaton(&unused, "", pattern)) {
        return "it is too large with all of its repeats";
    }
    if ((pattern->endless || !pattern_is_anchored(pattern)) && !rule_most_bytes(rules, &most)) {
        /* Whoever sends the text would say how much work it is. */
        return "limit the text by max_len, or begin with ^ and repeat by {n,m} or ? only";
    }
    return NULL;
}

static bool is_bound(const Google__Protobuf__Duration *bound)
{
    return bound == NULL || (bound->nanos > -1000000000 && bound->nanos < 1000000000 &&
                             (bound->seconds <= 0 || bound->nanos >= 0) &&
                             (bound->seconds >= 0 || bound->nanos <= 0));
}

static bool has_wrong_bound(const Buf__Validate__DurationRules *rules)
{
    bool lower = rules->greater_than_case == BUF__VALIDATE__DURATION_RULES__GREATER_THAN__NOT_SET ||
                 is_bound(rules->gt); /* gt and gte are in one place */
    bool upper = rules->less_than_case == BUF__VALIDATE__DURATION_RULES__LESS_THAN__NOT_SET ||
                 is_bound(rules->lt);

    return !lower || !upper;
}

/* The rules of one value: of a singular field, an element, a key. part is "" or such as "items ".
 */
static void refuse_value_rules(const struct field *field, const struct field *value,
                               const field_rules *rules, const char *part)
{
    const char *reason;

    if (rules->ignore != BUF__VALIDATE__IGNORE__IGNORE_UNSPECIFIED &&
        rules->ignore != BUF__VALIDATE__IGNORE__IGNORE_IF_ZERO_VALUE &&
        rules->ignore != BUF__VALIDATE__IGNORE__IGNORE_ALWAYS) {
        problem(&field->place, "%s: %signore has an unknown value", field->proto->name, part);
    }
    if (*part != '\0' && rules->required) {
        problem(&field->place, "%s: %sare always set: `required` says nothing", field->proto->name,
                part);
    }
    if (rules->type_case == BUF__VALIDATE__FIELD_RULES__TYPE__NOT_SET) {
        return;
    }
    if (!fits(value, rules)) {
        problem(&field->place, "%s: %srules for %s do not fit the type of the field",
                field->proto->name, part, kind_name(rules));
        return;
    }
    if (rules->type_case == BUF__VALIDATE__FIELD_RULES__TYPE_DURATION &&
        has_wrong_bound(rules->duration)) {
        problem(&field->place,
                "%s: %sa bound is no duration: nanos are below a second and have "
                "the sign of the seconds",
                field->proto->name, part);
    }
    if (rules->type_case != BUF__VALIDATE__FIELD_RULES__TYPE_STRING) {
        return;
    }
    reason = rules->string->pattern != NULL ? pattern_reason(rules->string) : NULL;
    if (reason != NULL) {
        problem(&field->place, "%s: the pattern \"%s\" is not supported: %s", field->proto->name,
                rules->string->pattern, reason);
    }
}

static void refuse_map_rules(const struct field *field, const field_rules *rules)
{
    if (rules->type_case == BUF__VALIDATE__FIELD_RULES__TYPE__NOT_SET) {
        return;
    }
    if (rules->type_case != BUF__VALIDATE__FIELD_RULES__TYPE_MAP) {
        problem(&field->place, "%s: rules for %s do not fit a map", field->proto->name,
                kind_name(rules));
        return;
    }
    if (rules->map->keys != NULL) {
        refuse_value_rules(field, &field->message->fields[0], rules->map->keys, "keys ");
    }
    if (rules->map->values != NULL) {
        refuse_value_rules(field, &field->message->fields[1], rules->map->values, "values ");
    }
}

static void refuse_list_rules(const struct field *field, const field_rules *rules)
{
    if (rules->type_case == BUF__VALIDATE__FIELD_RULES__TYPE__NOT_SET) {
        return;
    }
    if (rules->type_case != BUF__VALIDATE__FIELD_RULES__TYPE_REPEATED) {
        problem(&field->place, "%s: rules for %s do not fit a repeated field", field->proto->name,
                kind_name(rules));
        return;
    }
    if (rules->repeated->unique && field->message != NULL) {
        problem(&field->place, "%s: unique is for scalars and enums, not for messages",
                field->proto->name);
    }
    if (rules->repeated->items != NULL) {
        refuse_value_rules(field, field, rules->repeated->items, "items ");
    }
}

void refuse_rules(const struct field *field)
{
    if (field->rules == NULL) {
        return;
    }
    if (field->map) {
        refuse_map_rules(field, field->rules);
    } else if (field->repeated) {
        refuse_list_rules(field, field->rules);
    } else {
        refuse_value_rules(field, field, field->rules, "");
    }
}
