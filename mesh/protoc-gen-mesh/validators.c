/* SPDX-License-Identifier: Apache-2.0 */
/* One function per message that walks its fields; rules.c writes what happens at each. */
#include "emit.h"
#include "names.h"
#include "rules.h"

#include <inttypes.h>
#include <string.h>

typedef Google__Protobuf__FieldDescriptorProto__Type field_type;

const char *validator_name(const struct message *message)
{
    return message->validated ? gen_printf("mesh__validate_%s", message->c_lower) : NULL;
}

/* ---- one value --------------------------------------------------------------------------------
 */

static const char *c_type_of(const struct field *field)
{
    if (field->message != NULL) {
        return gen_printf("%s *", field->message->c_type);
    }
    if (field->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_ENUM) {
        return "int ";
    }
    return gen_printf("%s ", distinct_c_type(field));
}

/* const T value = <expression>; a string that was never set reads as "". */
static void emit_value(struct text *out, const char *indent, const struct field *field,
                       const char *expression)
{
    if (field->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING) {
        text_printf(out, "%sconst char *value = %s != NULL ? %s : \"\";\n\n", indent, expression,
                    expression);
    } else if (field->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_ENUM) {
        /* Any number may arrive, also one that the type in C has no name for. */
        text_printf(out, "%sconst int value = (int)%s;\n\n", indent, expression);
    } else {
        text_printf(out, "%sconst %svalue = %s;\n\n", indent, c_type_of(field), expression);
    }
}

static void emit_walk(const struct checks *checks, const struct field *field)
{
    text_printf(checks->out, "%smesh__validate_%s(violations, %s, %s);\n", checks->indent,
                field->message->c_lower, checks->path, checks->value);
}

static struct checks deeper(const struct checks *checks)
{
    struct checks inner = *checks;

    inner.indent = gen_printf("%s    ", checks->indent);
    return inner;
}

/* ---- singular fields --------------------------------------------------------------------------
 */

/* True while the field is set, or NULL for a field without presence. */
static const char *presence(const struct field *field)
{
    const char *set = NULL;

    if (field->case_name != NULL) {
        set = gen_printf("(int)message->%s == %d", field->case_name, field->proto->number);
    }
    if (field->message != NULL) {
        const char *there = gen_printf("message->%s != NULL", field->c_name);

        set = set != NULL ? gen_printf("%s && %s", set, there) : there;
    }
    return set;
}

static void emit_set_value(const struct checks *checks, const struct field *field)
{
    if (has_rules(field->rules)) {
        emit_checks(checks, field, field->rules);
    }
    if (walks(field)) {
        emit_walk(checks, field);
    }
}

static void emit_required(const struct checks *checks)
{
    text_printf(checks->out, "%smesh_violate(violations, %s, \"required\", \"must be set\");\n",
                checks->indent, checks->path);
}

static void emit_with_presence(const struct checks *checks, const struct field *field,
                               const char *set)
{
    const struct checks inner = deeper(checks);

    text_printf(checks->out, "%sif (%s) {\n", checks->indent, set);
    emit_value(checks->out, inner.indent, field, gen_printf("message->%s", field->c_name));
    emit_set_value(&inner, field);
    if (has_rules(field->rules) && field->rules->required) {
        text_printf(checks->out, "%s} else {\n", checks->indent);
        emit_required(&inner);
    }
    text_printf(checks->out, "%s}\n", checks->indent);
}

static void emit_without_presence(const struct checks *checks, const struct field *field)
{
    const struct checks inner = deeper(checks);
    const char *zero = zero_condition(field, "value");

    emit_value(checks->out, checks->indent, field, gen_printf("message->%s", field->c_name));
    if (field->rules->required) {
        text_printf(checks->out, "%sif (%s) {\n", checks->indent, zero);
        emit_required(&inner);
        text_printf(checks->out, "%s} else {\n", checks->indent);
        emit_set_value(&inner, field);
        text_printf(checks->out, "%s}\n", checks->indent);
    } else if (field->rules->ignore == BUF__VALIDATE__IGNORE__IGNORE_IF_ZERO_VALUE) {
        text_printf(checks->out, "%sif (!(%s)) {\n", checks->indent, zero);
        emit_set_value(&inner, field);
        text_printf(checks->out, "%s}\n", checks->indent);
    } else {
        emit_set_value(checks, field);
    }
}

/* ---- lists ------------------------------------------------------------------------------------
 */

static void emit_count(const struct checks *checks, const char *count, const char *kind,
                       const char *unit, const uint64_t *min, const uint64_t *max)
{
    if (min != NULL && *min > 0) {
        emit_check(
            checks, gen_printf("%s < UINT64_C(%" PRIu64 ")", count, *min),
            gen_printf("%s.min_%ss", kind, unit),
            gen_printf("must have at least %" PRIu64 " %s%s", *min, unit, *min == 1 ? "" : "s"));
    }
    if (max != NULL && *max < UINT64_MAX) {
        emit_check(
            checks, gen_printf("%s > UINT64_C(%" PRIu64 ")", count, *max),
            gen_printf("%s.max_%ss", kind, unit),
            gen_printf("must have at most %" PRIu64 " %s%s", *max, unit, *max == 1 ? "" : "s"));
    }
}

static void emit_list_as_a_whole(const struct checks *checks, const struct field *field)
{
    const Buf__Validate__RepeatedRules *rules;

    if (!has_rules(field->rules) ||
        field->rules->type_case != BUF__VALIDATE__FIELD_RULES__TYPE_REPEATED) {
        return;
    }
    rules = field->rules->repeated;
    emit_count(checks, gen_printf("message->n_%s", field->c_name), "repeated", "item",
               rules->has_min_items ? &rules->min_items : NULL,
               rules->has_max_items ? &rules->max_items : NULL);
    if (rules->unique) {
        const char *cast = field->enumeration != NULL ? "(const int32_t *)" : "";

        if (field->proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING) {
            cast = "(const char *const *)";
        }
        emit_check(checks,
                   gen_printf("mesh__distinct_%s(%smessage->%s, message->n_%s) != message->n_%s",
                              distinct_kind(checks->helpers, field), cast, field->c_name,
                              field->c_name, field->c_name),
                   "repeated.unique", "must not hold the same value twice");
    }
}

/* The checks of one element, whose value is in `value`. */
static void emit_element(const struct checks *checks, const struct field *field,
                         const Buf__Validate__FieldRules *rules)
{
    struct checks inner = *checks;
    bool skips_zero = rules != NULL && rules->ignore == BUF__VALIDATE__IGNORE__IGNORE_IF_ZERO_VALUE;

    if (skips_zero) {
        text_printf(checks->out, "%sif (!(%s)) {\n", checks->indent,
                    zero_condition(field, checks->value));
        inner = deeper(checks);
    }
    if (has_rules(rules)) {
        emit_checks(&inner, field, rules);
    }
    if (field->message != NULL && field->message->validated && !ignored(rules)) {
        emit_walk(&inner, field);
    }
    if (skips_zero) {
        text_printf(checks->out, "%s}\n", checks->indent);
    }
}

static void emit_elements(const struct checks *checks, const struct field *field)
{
    const Buf__Validate__FieldRules *rules = element_rules(field);
    struct checks inner = deeper(checks);

    if (!has_rules(rules) && !walks(field)) {
        return;
    }
    text_printf(checks->out,
                "%sfor (size_t i = 0; i < message->n_%s; i++) {\n"
                "%s    const struct mesh_path item = {parent, \"%s\", (int64_t)i, NULL, false};\n",
                checks->indent, field->c_name, checks->indent, field->proto->name);
    emit_value(checks->out, inner.indent, field, gen_printf("message->%s[i]", field->c_name));
    inner.path = "&item";
    emit_element(&inner, field, rules);
    text_printf(checks->out, "%s}\n", checks->indent);
}

/* ---- maps -------------------------------------------------------------------------------------
 */

/* On the wire a key may come twice: pairs are counted by their keys. */
static void emit_map_as_a_whole(const struct checks *checks, const struct field *field)
{
    const struct field *key = &field->message->fields[0];
    const Buf__Validate__MapRules *rules;
    struct checks inner = deeper(checks);

    if (!has_rules(field->rules) ||
        field->rules->type_case != BUF__VALIDATE__FIELD_RULES__TYPE_MAP) {
        return;
    }
    rules = field->rules->map;
    if (rules->min_pairs == 0 && (!rules->has_max_pairs || rules->max_pairs == UINT64_MAX)) {
        return;
    }
    text_fill(checks->out,
              "$indent${\n"
              "$indent$    $type$ *keys = malloc((message->n_$field$ + 1) * sizeof(*keys));\n"
              "$indent$    size_t n_pairs;\n\n"
              "$indent$    if (keys == NULL) {\n"
              "$indent$        abort();\n"
              "$indent$    }\n"
              "$indent$    for (size_t i = 0; i < message->n_$field$; i++) {\n"
              "$indent$        keys[i] = ($type$)message->$field$[i]->key;\n"
              "$indent$    }\n"
              "$indent$    n_pairs = mesh__distinct_$kind$(keys, message->n_$field$);\n"
              "$indent$    free(keys);\n",
              (const struct var[]){{"indent", checks->indent},
                                   {"type", distinct_c_type(key)},
                                   {"field", field->c_name},
                                   {"kind", distinct_kind(checks->helpers, key)},
                                   {NULL, NULL}});
    emit_count(&inner, "n_pairs", "map", "pair", rules->has_min_pairs ? &rules->min_pairs : NULL,
               rules->has_max_pairs ? &rules->max_pairs : NULL);
    text_printf(checks->out, "%s}\n", checks->indent);
}

/* The path of an entry: m["key"], m[7] or m[true]. */
static void emit_entry_path(const struct checks *checks, const struct field *field)
{
    static const char text_key[] =
        "$indent$const char *key = entry->key != NULL ? entry->key : \"\";\n"
        "$indent$const struct mesh_path item = {parent, \"$name$\", -1, key, false};\n";
    static const char bool_key[] =
        "$indent$const struct mesh_path item = {parent, \"$name$\", -1,\n"
        "$indent$        entry->key ? \"true\" : \"false\", true};\n";
    static const char number_key[] =
        "$indent$char key[24];\n"
        "$indent$const struct mesh_path item = {parent, \"$name$\", -1, key, true};\n\n"
        "$indent$snprintf(key, sizeof(key), \"%\" $format$, entry->key);\n";
    const field_type type = field->message->fields[0].proto->type;
    const char *kind = distinct_c_type(&field->message->fields[0]);
    const char *template = number_key;

    if (type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING) {
        template = text_key;
    } else if (type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL) {
        template = bool_key;
    }
    text_fill(checks->out, template,
              (const struct var[]){{"indent", checks->indent},
                                   {"name", field->proto->name},
                                   {"format", gen_printf("PRI%c%s", kind[0] == 'u' ? 'u' : 'd',
                                                         strstr(kind, "64") ? "64" : "32")},
                                   {NULL, NULL}});
}

static void emit_entry_key(const struct checks *checks, const struct field *field)
{
    const struct field *key = &field->message->fields[0];
    struct checks inner = deeper(checks);

    if (field->rules->type_case != BUF__VALIDATE__FIELD_RULES__TYPE_MAP ||
        !has_rules(field->rules->map->keys)) {
        return;
    }
    text_printf(checks->out, "%s{\n", checks->indent);
    emit_value(checks->out, inner.indent, key, "entry->key");
    emit_element(&inner, key, field->rules->map->keys);
    text_printf(checks->out, "%s}\n", checks->indent);
}

static void emit_entry_value(const struct checks *checks, const struct field *field)
{
    const struct field *value = &field->message->fields[1];
    const Buf__Validate__FieldRules *rules = element_rules(field);
    struct checks inner = deeper(checks);
    const char *expression = "entry->value";

    if (!has_rules(rules) && !(walks(field) && walks(value))) {
        return;
    }
    text_printf(checks->out, "%s{\n", checks->indent);
    if (value->message != NULL) { /* an entry without a value has the empty message */
        text_printf(checks->out, "%sstatic const %s empty = %s__INIT;\n", inner.indent,
                    value->message->c_type, value->message->c_upper);
        expression = "entry->value != NULL ? entry->value : &empty";
    }
    emit_value(checks->out, inner.indent, value, expression);
    emit_element(&inner, value, rules);
    text_printf(checks->out, "%s}\n", checks->indent);
}

static bool has_entry_checks(const struct field *field)
{
    const Buf__Validate__FieldRules *rules = field->rules;
    bool keys = rules != NULL && rules->type_case == BUF__VALIDATE__FIELD_RULES__TYPE_MAP &&
                has_rules(rules->map->keys);

    return keys || has_rules(element_rules(field)) || walks(field);
}

static void emit_entries(const struct checks *checks, const struct field *field)
{
    struct checks inner = deeper(checks);

    if (!has_entry_checks(field)) {
        return;
    }
    text_printf(checks->out,
                "%sfor (size_t i = 0; i < message->n_%s; i++) {\n"
                "%s    const %s *entry = message->%s[i];\n",
                checks->indent, field->c_name, checks->indent, field->message->c_type,
                field->c_name);
    emit_entry_path(&inner, field);
    inner.path = "&item";
    if (field->rules != NULL) {
        emit_entry_key(&inner, field);
    }
    emit_entry_value(&inner, field);
    text_printf(checks->out, "%s}\n", checks->indent);
}

/* ---- messages ---------------------------------------------------------------------------------
 */

static void emit_repeated(const struct checks *checks, const struct field *field)
{
    const Buf__Validate__FieldRules *rules = field->rules;
    struct checks inner = *checks;
    bool required = has_rules(rules) && rules->required;
    bool skips_empty = has_rules(rules) && !required &&
                       rules->ignore == BUF__VALIDATE__IGNORE__IGNORE_IF_ZERO_VALUE;

    if (required || skips_empty) {
        inner = deeper(checks);
        text_printf(checks->out, "%sif (message->n_%s > 0) {\n", checks->indent, field->c_name);
    }
    if (field->map) {
        emit_map_as_a_whole(&inner, field);
        emit_entries(&inner, field);
    } else {
        emit_list_as_a_whole(&inner, field);
        emit_elements(&inner, field);
    }
    if (required) {
        text_printf(checks->out, "%s} else {\n", checks->indent);
        emit_required(&inner);
    }
    if (required || skips_empty) {
        text_printf(checks->out, "%s}\n", checks->indent);
    }
}

static void emit_field(const struct checks *checks, const struct field *field)
{
    const char *set = presence(field);

    if (ignored(field->rules) || (!has_rules(field->rules) && !walks(field))) {
        return;
    }
    text_printf(checks->out,
                "    {\n        const struct mesh_path path = {parent, \"%s\", -1, NULL, false};\n",
                field->proto->name);
    if (field->repeated) {
        emit_repeated(checks, field);
    } else if (set != NULL) {
        emit_with_presence(checks, field, set);
    } else {
        emit_without_presence(checks, field);
    }
    text_printf(checks->out, "    }\n");
}

static void emit_required_oneofs(struct text *out, const struct message *message)
{
    for (size_t i = 0; i < message->n_oneofs; i++) {
        const struct oneof *oneof = &message->oneofs[i];
        struct text names = {0};

        if (!oneof->required) {
            continue;
        }
        for (size_t k = 0; k < message->n_fields; k++) {
            const Google__Protobuf__FieldDescriptorProto *field = message->fields[k].proto;

            if (field->has_oneof_index && field->oneof_index == (int32_t)i) {
                text_printf(&names, "%s%s", names.size > 0 ? ", " : "", field->name);
            }
        }
        text_printf(out,
                    "    if ((int)message->%s == 0) {\n"
                    "        const struct mesh_path path = {parent, \"%s\", -1, NULL, false};\n\n"
                    "        mesh_violate(violations, &path, \"required\", \"one of %s must be "
                    "set\");\n"
                    "    }\n",
                    oneof->case_name, oneof->proto->name, text_string(&names));
    }
}

static void emit_signature(struct text *out, const struct message *message, const char *end)
{
    text_printf(out,
                "\nstatic void mesh__validate_%s(struct mesh_violations *violations,\n"
                "        const struct mesh_path *parent, const %s *message)%s\n",
                message->c_lower, message->c_type, end);
}

static void emit_validator(struct text *out, struct helpers *helpers, const struct message *message)
{
    const struct checks checks = {out, helpers, "        ", "&path", "value"};

    emit_signature(out, message, "\n{");
    for (size_t i = 0; i < message->n_fields; i++) {
        emit_field(&checks, &message->fields[i]);
    }
    emit_required_oneofs(out, message);
    text_printf(out, "}\n");
}

/* ---- all that the file's methods need ---------------------------------------------------------
 */

struct list {
    const struct message **messages;
    size_t n;
};

/* Map entries are walked in place and have no function of their own. */
static void collect(struct list *list, const struct message *message)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->messages[i] == message) {
            return;
        }
    }
    list->messages[list->n++] = message;
    for (size_t i = 0; i < message->n_fields; i++) {
        if (walks(&message->fields[i])) {
            collect(list, message->fields[i].message);
        }
    }
}

static bool is_map_entry(const struct message *message)
{
    return message->proto->options != NULL && message->proto->options->map_entry;
}

void emit_validators(struct text *out, const struct model *model, const struct file *file)
{
    struct list list = {NULL, 0};
    struct helpers helpers = {0};
    struct text body = {0};
    size_t n = 0;

    for (size_t f = 0; f < model->n_files; f++) {
        n += model->files[f].n_messages;
    }
    list.messages = gen_alloc(n * sizeof(struct message *));
    for (size_t s = 0; s < file->n_services; s++) {
        for (size_t m = 0; m < file->services[s].n_methods; m++) {
            const struct message *request = file->services[s].methods[m].request;

            if (request->validated) {
                collect(&list, request);
            }
        }
    }
    for (size_t i = 0; i < list.n; i++) {
        if (!is_map_entry(list.messages[i])) {
            emit_signature(out, list.messages[i], ";");
        }
    }
    for (size_t i = 0; i < list.n; i++) {
        if (!is_map_entry(list.messages[i])) {
            emit_validator(&body, &helpers, list.messages[i]);
        }
    }
    emit_helpers(out, &helpers);
    text_add(out, text_string(&body), body.size);
}
