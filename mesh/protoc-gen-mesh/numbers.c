/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of numbers, read by the names of their members: they are the same for all kinds. */
#include "rules.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const ProtobufCFieldDescriptor *member(const ProtobufCMessage *rules, const char *name)
{
    return protobuf_c_message_descriptor_get_field_by_name(rules->descriptor, name);
}

static struct number read_number(const ProtobufCFieldDescriptor *field, const void *value)
{
    struct number number = {.kind = NUMBER_SIGNED};

    switch (field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
        number.kind = NUMBER_FLOAT;
        number.floating = (double)*(const float *)value;
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        number.kind = NUMBER_DOUBLE;
        number.floating = *(const double *)value;
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        number.kind = NUMBER_UNSIGNED;
        number.narrow = true;
        number.unsigned_value = *(const uint32_t *)value;
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        number.kind = NUMBER_UNSIGNED;
        number.unsigned_value = *(const uint64_t *)value;
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        number.signed_value = *(const int64_t *)value;
        break;
    default:
        number.narrow = true;
        number.signed_value = *(const int32_t *)value;
        break;
    }
    return number;
}

bool rule_number(const ProtobufCMessage *rules, const char *name, struct number *ret_number)
{
    const ProtobufCFieldDescriptor *field = member(rules, name);
    const uint8_t *start = (const uint8_t *)rules;
    const void *quantifier;
    bool set;

    if (field == NULL || field->label == PROTOBUF_C_LABEL_REPEATED) {
        return false;
    }
    quantifier = start + field->quantifier_offset;
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        set = *(const uint32_t *)quantifier == field->id;
    } else {
        set = *(const protobuf_c_boolean *)quantifier != 0;
    }
    if (set) {
        *ret_number = read_number(field, start + field->offset);
    }
    return set;
}

size_t rule_n_numbers(const ProtobufCMessage *rules, const char *name)
{
    const ProtobufCFieldDescriptor *field = member(rules, name);
    const uint8_t *start = (const uint8_t *)rules;

    if (field == NULL || field->label != PROTOBUF_C_LABEL_REPEATED) {
        return 0;
    }
    return *(const size_t *)(const void *)(start + field->quantifier_offset);
}

struct number rule_number_at(const ProtobufCMessage *rules, const char *name, size_t index)
{
    const ProtobufCFieldDescriptor *field = member(rules, name);
    const uint8_t *start = (const uint8_t *)rules;
    const uint8_t *array = *(const uint8_t *const *)(const void *)(start + field->offset);
    size_t size = 4;

    switch (field->type) {
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        size = 8;
        break;
    default:
        break;
    }
    return read_number(field, array + index * size);
}

static const char *floating_literal(struct number number)
{
    const char *suffix = number.kind == NUMBER_FLOAT ? "f" : "";

    if (isnan(number.floating)) {
        return gen_printf("__builtin_nan%s(\"\")", suffix);
    }
    if (isinf(number.floating)) {
        return gen_printf("%s__builtin_inf%s()", number.floating < 0 ? "-" : "", suffix);
    }
    return gen_printf("%a%s", number.floating, suffix);
}

const char *number_literal(struct number number)
{
    switch (number.kind) {
    case NUMBER_FLOAT:
    case NUMBER_DOUBLE:
        return floating_literal(number);
    case NUMBER_UNSIGNED:
        return gen_printf("UINT%d_C(%" PRIu64 ")", number.narrow ? 32 : 64, number.unsigned_value);
    case NUMBER_SIGNED:
    default:
        break;
    }
    if (number.signed_value == (number.narrow ? INT32_MIN : INT64_MIN)) {
        return number.narrow ? "INT32_MIN" : "INT64_MIN";
    }
    return gen_printf("INT%d_C(%" PRId64 ")", number.narrow ? 32 : 64, number.signed_value);
}

const char *number_text(struct number number)
{
    switch (number.kind) {
    case NUMBER_FLOAT:
        return gen_printf("%.9g", number.floating);
    case NUMBER_DOUBLE:
        return gen_printf("%.17g", number.floating);
    case NUMBER_UNSIGNED:
        return gen_printf("%" PRIu64, number.unsigned_value);
    case NUMBER_SIGNED:
    default:
        return gen_printf("%" PRId64, number.signed_value);
    }
}

bool number_less(struct number left, struct number right)
{
    switch (left.kind) {
    case NUMBER_FLOAT:
    case NUMBER_DOUBLE:
        return left.floating < right.floating;
    case NUMBER_UNSIGNED:
        return left.unsigned_value < right.unsigned_value;
    case NUMBER_SIGNED:
    default:
        return left.signed_value < right.signed_value;
    }
}

/* ---- ranges -----------------------------------------------------------------------------------
 */

/* A bound in the forms in which it is needed. */
struct bound {
    const char *name;      /* "gte"; NULL: there is none */
    const char *condition; /* true for values within it; NULL if all are */
    const char *text;      /* "greater than or equal to 1" */
};

/* Bounds that cross are never ones that hold all values. */
static const char *both_conditions(const char *lower, const char *upper, bool crossed)
{
    if (lower == NULL || upper == NULL) {
        return lower == NULL ? upper : lower;
    }
    return gen_printf("%s %s %s", lower, crossed ? "||" : "&&", upper);
}

/* Names the rule as protovalidate does: a pair of bounds is one rule; a pair that crosses itself
 * means the values outside. */
static void emit_range(const struct checks *checks, const char *kind, const struct bound *lower,
                       const struct bound *upper, bool crossed)
{
    const char *rule;
    const char *condition;
    const char *text;

    if (lower->name == NULL && upper->name == NULL) {
        return;
    }
    if (lower->name == NULL || upper->name == NULL) {
        const struct bound *one = lower->name != NULL ? lower : upper;

        rule = gen_printf("%s.%s", kind, one->name);
        condition = one->condition;
        text = gen_printf("must be %s", one->text);
    } else {
        rule =
            gen_printf("%s.%s_%s%s", kind, lower->name, upper->name, crossed ? "_exclusive" : "");
        condition = both_conditions(lower->condition, upper->condition, crossed);
        text = gen_printf("must be %s %s %s", lower->text, crossed ? "or" : "and", upper->text);
    }
    if (condition != NULL) {
        emit_check(checks, gen_printf("!(%s)", condition), rule, text);
    }
}

static const char *const words[][3] = {{"gt", ">", "greater than"},
                                       {"gte", ">=", "greater than or equal to"},
                                       {"lt", "<", "less than"},
                                       {"lte", "<=", "less than or equal to"}};

/* The least (or the greatest) value of its type. */
static bool is_extreme(struct number number, bool least)
{
    if (number.kind == NUMBER_UNSIGNED) {
        return number.unsigned_value == (least ? 0 : number.narrow ? UINT32_MAX : UINT64_MAX);
    }
    if (number.kind == NUMBER_SIGNED && number.narrow) {
        return number.signed_value == (least ? INT32_MIN : INT32_MAX);
    }
    return number.kind == NUMBER_SIGNED && number.signed_value == (least ? INT64_MIN : INT64_MAX);
}

/* Compilers warn of comparisons that are always true or always false. */
static const char *number_condition(const char *value, const char *sign, struct number number)
{
    bool lower = *sign == '>';
    bool included = sign[1] == '=';

    if (is_extreme(number, lower) && included) {
        return NULL;
    }
    if (is_extreme(number, !lower) && !included) {
        return "false";
    }
    return gen_printf("%s %s %s", value, sign, number_literal(number));
}

static void emit_number_range(const struct checks *checks, const char *kind,
                              const ProtobufCMessage *rules)
{
    struct bound bounds[2] = {{0}, {0}};
    struct number numbers[2] = {{.kind = NUMBER_SIGNED}, {.kind = NUMBER_SIGNED}};

    for (size_t i = 0; i < 4; i++) {
        struct number *number = &numbers[i / 2];

        if (rule_number(rules, words[i][0], number)) {
            bounds[i / 2] =
                (struct bound){words[i][0], number_condition(checks->value, words[i][1], *number),
                               gen_printf("%s %s", words[i][2], number_text(*number))};
        }
    }
    emit_range(checks, kind, &bounds[0], &bounds[1], number_less(numbers[1], numbers[0]));
}

static void emit_number_list(const struct checks *checks, const char *kind,
                             const ProtobufCMessage *rules, const char *name)
{
    size_t n = rule_n_numbers(rules, name);
    bool wanted = strcmp(name, "in") == 0;
    struct text condition = {0};
    struct text list = {0};

    if (n == 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct number number = rule_number_at(rules, name, i);

        text_printf(&condition, "%s%s == %s", i > 0 ? " || " : "", checks->value,
                    number_literal(number));
        text_printf(&list, "%s%s", i > 0 ? ", " : "", number_text(number));
    }
    emit_check(checks,
               wanted ? gen_printf("!(%s)", text_string(&condition)) : text_string(&condition),
               gen_printf("%s.%s", kind, name),
               gen_printf("must %sbe one of %s", wanted ? "" : "not ", text_string(&list)));
}

void emit_number_checks(const struct checks *checks, const char *kind,
                        const ProtobufCMessage *rules)
{
    struct number number;

    if (rule_number(rules, "const", &number)) {
        emit_check(checks, gen_printf("%s != %s", checks->value, number_literal(number)),
                   gen_printf("%s.const", kind), gen_printf("must be %s", number_text(number)));
    }
    emit_number_range(checks, kind, rules);
    emit_number_list(checks, kind, rules, "in");
    emit_number_list(checks, kind, rules, "not_in");
    if (rule_number(rules, "finite", &number) && number.signed_value != 0) {
        emit_check(checks, gen_printf("!__builtin_isfinite(%s)", checks->value),
                   gen_printf("%s.finite", kind), "must be finite");
    }
}

/* ---- durations --------------------------------------------------------------------------------
 */

static const char *duration_text(const Google__Protobuf__Duration *duration)
{
    if (duration->nanos == 0) {
        return gen_printf("%" PRId64 "s", duration->seconds);
    }
    return gen_printf("%s%" PRIu64 ".%09ds",
                      duration->seconds < 0 || duration->nanos < 0 ? "-" : "",
                      (uint64_t)(duration->seconds < 0 ? -duration->seconds : duration->seconds),
                      duration->nanos < 0 ? -duration->nanos : duration->nanos);
}

static struct bound duration_bound(const struct checks *checks, size_t word,
                                   const Google__Protobuf__Duration *duration)
{
    return (struct bound){words[word][0],
                          gen_printf("mesh__compare_duration(%s, INT64_C(%" PRId64 "), %d) %s 0",
                                     checks->value, duration->seconds, duration->nanos,
                                     words[word][1]),
                          gen_printf("%s %s", words[word][2], duration_text(duration))};
}

void emit_duration_checks(const struct checks *checks, const Buf__Validate__DurationRules *rules)
{
    const Google__Protobuf__Duration *lower = NULL;
    const Google__Protobuf__Duration *upper = NULL;
    struct bound bounds[2] = {{0}, {0}};
    bool crossed;

    if (rules->greater_than_case == BUF__VALIDATE__DURATION_RULES__GREATER_THAN_GT) {
        lower = rules->gt;
        bounds[0] = duration_bound(checks, 0, lower);
    } else if (rules->greater_than_case == BUF__VALIDATE__DURATION_RULES__GREATER_THAN_GTE) {
        lower = rules->gte;
        bounds[0] = duration_bound(checks, 1, lower);
    }
    if (rules->less_than_case == BUF__VALIDATE__DURATION_RULES__LESS_THAN_LT) {
        upper = rules->lt;
        bounds[1] = duration_bound(checks, 2, upper);
    } else if (rules->less_than_case == BUF__VALIDATE__DURATION_RULES__LESS_THAN_LTE) {
        upper = rules->lte;
        bounds[1] = duration_bound(checks, 3, upper);
    }
    crossed = lower != NULL && upper != NULL &&
              (upper->seconds < lower->seconds ||
               (upper->seconds == lower->seconds && upper->nanos < lower->nanos));
    checks->helpers->duration |= lower != NULL || upper != NULL;
    emit_range(checks, "duration", &bounds[0], &bounds[1], crossed);
}
