/* SPDX-License-Identifier: Apache-2.0 */
/* Small functions of the generated validators. */
#include "rules.h"

static const char duration_helper[] =
    "\nstatic int mesh__compare_duration(const Google__Protobuf__Duration *duration, int64_t "
    "seconds,\n"
    "        int32_t nanos)\n"
    "{\n"
    "    if (duration->seconds != seconds) {\n"
    "        return duration->seconds < seconds ? -1 : 1;\n"
    "    }\n"
    "    return (duration->nanos > nanos) - (duration->nanos < nanos);\n"
    "}\n";

static const char number_compare[] =
    "\nstatic int mesh__compare_$kind$(const void *left, const void *right)\n"
    "{\n"
    "    const $type$ a = *(const $type$ *)left;\n"
    "    const $type$ b = *(const $type$ *)right;\n\n"
    "    return (a > b) - (a < b);\n"
    "}\n";

/* NaN is equal to nothing, but must stand somewhere. */
static const char floating_compare[] =
    "\nstatic int mesh__compare_$kind$(const void *left, const void *right)\n"
    "{\n"
    "    const $type$ a = *(const $type$ *)left;\n"
    "    const $type$ b = *(const $type$ *)right;\n\n"
    "    if (a != a || b != b) {\n"
    "        return (a != a) - (b != b);\n"
    "    }\n"
    "    return (a > b) - (a < b);\n"
    "}\n";

static const char string_compare[] =
    "\nstatic int mesh__compare_string(const void *left, const void *right)\n"
    "{\n"
    "    return strcmp(*(const char *const *)left, *(const char *const *)right);\n"
    "}\n";

static const char bytes_compare[] =
    "\nstatic int mesh__compare_bytes(const void *left, const void *right)\n"
    "{\n"
    "    const ProtobufCBinaryData *a = left;\n"
    "    const ProtobufCBinaryData *b = right;\n\n"
    "    if (a->len != b->len) {\n"
    "        return a->len < b->len ? -1 : 1;\n"
    "    }\n"
    "    return a->len == 0 ? 0 : memcmp(a->data, b->data, a->len);\n"
    "}\n";

/* Sorted, because comparing all pairs would let a long list cost too much. */
static const char distinct_function[] =
    "\n/* How many different values there are. */\n"
    "static size_t mesh__distinct_$kind$($array$values, size_t n)\n"
    "{\n"
    "    $type$ *sorted = malloc((n + 1) * sizeof(*sorted));\n"
    "    size_t distinct = n > 0;\n\n"
    "    if (sorted == NULL) {\n"
    "        abort();\n"
    "    }\n"
    "    if (n > 0) {\n"
    "        memcpy(sorted, values, n * sizeof(*sorted));\n"
    "        qsort(sorted, n, sizeof(*sorted), mesh__compare_$kind$);\n"
    "    }\n"
    "    for (size_t i = 1; i < n; i++) {\n"
    "        distinct += $differs$;\n"
    "    }\n"
    "    free(sorted);\n"
    "    return distinct;\n"
    "}\n";

static const char compare_neighbours[] = "sorted[i] != sorted[i - 1]";

static void emit_distinct(struct text *out, bool used, const char *kind, const char *type,
                          const char *compare)
{
    bool number = compare == number_compare || compare == floating_compare;
    const struct var vars[] = {
        {"kind", kind},
        {"type", type},
        {"array",
         compare == string_compare ? "const char *const *" : gen_printf("const %s *", type)},
        {"differs", number ? compare_neighbours
                           : gen_printf("mesh__compare_%s(&sorted[i], &sorted[i - 1]) != 0", kind)},
        {NULL, NULL}};

    if (used) {
        text_fill(out, compare, vars);
        text_fill(out, distinct_function, vars);
    }
}

void emit_helpers(struct text *out, const struct helpers *helpers)
{
    if (helpers->duration) {
        text_printf(out, "%s", duration_helper);
    }
    emit_distinct(out, helpers->distinct_int32, "int32", "int32_t", number_compare);
    emit_distinct(out, helpers->distinct_int64, "int64", "int64_t", number_compare);
    emit_distinct(out, helpers->distinct_uint32, "uint32", "uint32_t", number_compare);
    emit_distinct(out, helpers->distinct_uint64, "uint64", "uint64_t", number_compare);
    emit_distinct(out, helpers->distinct_float, "float", "float", floating_compare);
    emit_distinct(out, helpers->distinct_double, "double", "double", floating_compare);
    emit_distinct(out, helpers->distinct_bool, "bool", "protobuf_c_boolean", number_compare);
    emit_distinct(out, helpers->distinct_string, "string", "const char *", string_compare);
    emit_distinct(out, helpers->distinct_bytes, "bytes", "ProtobufCBinaryData", bytes_compare);
}

/* ---- which one a field needs ------------------------------------------------------------------
 */

struct kind {
    const char *name;
    const char *c_type;
    size_t flag; /* in struct helpers */
};

static struct kind kind_of(const struct field *field)
{
    switch (field->proto->type) {
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_DOUBLE:
        return (struct kind){"double", "double", offsetof(struct helpers, distinct_double)};
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_FLOAT:
        return (struct kind){"float", "float", offsetof(struct helpers, distinct_float)};
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_INT64:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_SINT64:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_SFIXED64:
        return (struct kind){"int64", "int64_t", offsetof(struct helpers, distinct_int64)};
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT64:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_FIXED64:
        return (struct kind){"uint64", "uint64_t", offsetof(struct helpers, distinct_uint64)};
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT32:
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_FIXED32:
        return (struct kind){"uint32", "uint32_t", offsetof(struct helpers, distinct_uint32)};
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL:
        return (struct kind){"bool", "protobuf_c_boolean", offsetof(struct helpers, distinct_bool)};
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING:
        return (struct kind){"string", "const char *", offsetof(struct helpers, distinct_string)};
    case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES:
        return (struct kind){"bytes", "ProtobufCBinaryData",
                             offsetof(struct helpers, distinct_bytes)};
    default: /* the other integers of 32 bits, and enums */
        return (struct kind){"int32", "int32_t", offsetof(struct helpers, distinct_int32)};
    }
}

const char *distinct_kind(struct helpers *helpers, const struct field *field)
{
    struct kind kind = kind_of(field);

    *(bool *)((char *)helpers + kind.flag) = true;
    return kind.name;
}

const char *distinct_c_type(const struct field *field)
{
    return kind_of(field).c_type;
}
