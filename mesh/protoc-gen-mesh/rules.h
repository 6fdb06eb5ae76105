/* SPDX-License-Identifier: Apache-2.0 */
/* From rules to C: the checks of one value. */
#ifndef MESH_GEN_RULES_H
#define MESH_GEN_RULES_H

#include "model.h"
#include "text.h"

/* Small functions that the checks call and that are written only where they are used. */
struct helpers {
    bool duration;
    bool distinct_int32;
    bool distinct_int64;
    bool distinct_uint32;
    bool distinct_uint64;
    bool distinct_float;
    bool distinct_double;
    bool distinct_bool;
    bool distinct_string;
    bool distinct_bytes;
};
void emit_helpers(struct text *out, const struct helpers *helpers);
/* "int64" of a scalar or an enum; the word in distinct_int64(), and its C type. Marks it as used.
 */
const char *distinct_kind(struct helpers *helpers, const struct field *field);
const char *distinct_c_type(const struct field *field);

/* Where checks are written to, and the names that they find there. */
struct checks {
    struct text *out;
    struct helpers *helpers;
    const char *indent;
    const char *path;  /* an expression: "&path" */
    const char *value; /* an expression without side effects: "value" */
};

/* The checks of one value, which is set; nothing for rules of another kind. */
void emit_checks(const struct checks *checks, const struct field *field,
                 const Buf__Validate__FieldRules *rules);
/* One check: the condition under which it is violated, and what is told then. */
void emit_check(const struct checks *checks, const char *condition, const char *rule,
                const char *text);

/* A condition: true if the value of a singular field is the zero value of its type. */
const char *zero_condition(const struct field *field, const char *value);

/* reach.c */
bool ignored(const Buf__Validate__FieldRules *rules);
/* There is something to check. */
bool has_rules(const Buf__Validate__FieldRules *rules);
bool has_own_rules(const struct message *message);
/* The rules of each element of a list or of each value of a map. */
const Buf__Validate__FieldRules *element_rules(const struct field *field);
/* Messages inside the field have to be walked. */
bool walks(const struct field *field);

/* The longest text, in bytes, that the rules about lengths let through; false if any length is
 * fine. */
bool rule_most_bytes(const Buf__Validate__StringRules *rules, uint64_t *ret_most);

/* numbers.c */
struct number {
    enum { NUMBER_SIGNED, NUMBER_UNSIGNED, NUMBER_FLOAT, NUMBER_DOUBLE } kind;
    bool narrow; /* 32 bits */
    int64_t signed_value;
    uint64_t unsigned_value;
    double floating;
};
/* Members of any of the numeric rules, by name: false if not set. */
bool rule_number(const ProtobufCMessage *rules, const char *name, struct number *ret_number);
size_t rule_n_numbers(const ProtobufCMessage *rules, const char *name);
struct number rule_number_at(const ProtobufCMessage *rules, const char *name, size_t index);
const char *number_literal(struct number number); /* in C */
const char *number_text(struct number number);    /* for people */
bool number_less(struct number left, struct number right);
/* const, lt, lte, gt, gte, in, not_in, finite; kind is "int64" and so on. */
void emit_number_checks(const struct checks *checks, const char *kind,
                        const ProtobufCMessage *rules);
void emit_duration_checks(const struct checks *checks, const Buf__Validate__DurationRules *rules);

/* refuse_rules.c: problems of the rules of one field. */
void refuse_rules(const struct field *field);

#endif
