/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy comes to, in two forms: for programs and for people. */
#include "core/text.h"
#include "mesh/main.h"
#include "policy/fields.h"

/* How one form writes what both go through. */
struct form {
    struct mesh__text *text;
    void (*destination)(struct form *form, const char *name);
    void (*method)(struct form *form, const char *path);
    void (*value)(struct form *form, const struct mesh__field *field, int64_t value,
                  const char *from);
    void (*end)(struct form *form); /* of a method, then of the destination */
    const char *before;             /* of the next one on the same level */
};

static void walk_values(struct form *form, const struct mesh__fields *table, const void *values,
                        const char *const *from)
{
    for (size_t i = 0; i < table->n; i++) {
        form->value(form, &table->fields[i], mesh__field_get(values, i), from[i]);
    }
}

static void walk(const struct mesh__policy *policy, struct form *form)
{
    const struct mesh__destination_policy *destination;

    for (size_t i = 0; (destination = mesh__policy_destination(policy, i)) != NULL; i++) {
        form->destination(form, destination->name);
        walk_values(form, &mesh__destination_fields, &destination->values, destination->from);
        for (size_t j = 0; destination->types[j] != NULL; j++) {
            for (size_t k = 0; k < destination->types[j]->n_methods; k++) {
                const struct mesh__method_policy *method = &destination->methods[j][k];

                form->method(form, destination->types[j]->methods[k].path);
                walk_values(form, &mesh__route_fields, &method->values, method->from);
                form->end(form);
            }
        }
        form->end(form);
    }
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/* No text in a policy needs an escape: names have their shapes, values their words. */
static void json_destination(struct form *form, const char *name)
{
    mesh__text_printf(form->text, "%s\"%s\":{", form->before, name);
    form->before = "";
}

static void json_value(struct form *form, const struct mesh__field *field, int64_t value,
                       const char *from)
{
    bool is_number = field->kind == MESH__FIELD_WHOLE || field->kind == MESH__FIELD_PERCENTAGE;
    bool is_none =
        value == 0 && (field->kind == MESH__FIELD_STATUS || field->kind == MESH__FIELD_TEXT);
    const char *quote = is_number || is_none ? "" : "\"";

    mesh__text_printf(form->text, "%s\"%s\":{\"value\":%s", form->before, field->path, quote);
    if (is_none) {
        mesh__text_adds(form->text, "null");
    } else {
        mesh__field_print(field, value, false, form->text);
    }
    mesh__text_printf(form->text, "%s,\"from\":\"%s\"}", quote, from);
    form->before = ",";
}

static void json_end(struct form *form)
{
    mesh__text_adds(form->text, "}");
    form->before = ",";
}

void mesh__policy_json(const struct mesh__policy *policy, struct mesh__text *text)
{
    struct form form = {.text = text,
                        .destination = json_destination,
                        .method = json_destination,
                        .value = json_value,
                        .end = json_end,
                        .before = ""};

    mesh__text_adds(text, "{\"schema\":\"" MESH__POLICY_SCHEMA "\",\"mode\":\"");
    mesh__text_adds(text, mesh__policy_mode_word(policy));
    mesh__text_adds(text, "\",\"destinations\":{");
    walk(policy, &form);
    mesh__text_adds(text, "}}");
}

/* ---- for people ----------------------------------------------------------------------------- */

static void plain_destination(struct form *form, const char *name)
{
    mesh__text_printf(form->text, "%s\n", name);
}

static void plain_value(struct form *form, const struct mesh__field *field, int64_t value,
                        const char *from)
{
    size_t before;

    mesh__text_printf(form->text, "  %-43s ", field->path);
    before = form->text->size;
    mesh__field_print(field, value, true, form->text);
    mesh__text_printf(form->text, "%*s%s\n",
                      form->text->size - before < 20 ? (int)(20 - (form->text->size - before)) : 2,
                      "", from);
}

static void plain_end(struct form *form)
{
    (void)form;
}

void mesh__policy_print(const struct mesh__policy *policy, struct mesh__text *text)
{
    struct form form = {.text = text,
                        .destination = plain_destination,
                        .method = plain_destination,
                        .value = plain_value,
                        .end = plain_end};

    mesh__text_adds(text, "mode ");
    mesh__text_adds(text, mesh__policy_mode_word(policy));
    mesh__text_adds(text, "\n");
    walk(policy, &form);
}
