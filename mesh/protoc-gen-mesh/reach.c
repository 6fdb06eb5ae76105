/* SPDX-License-Identifier: Apache-2.0 */
/* Which messages have rules, and whether anything leads to them. */
#include "rules.h"

bool ignored(const Buf__Validate__FieldRules *rules)
{
    return rules != NULL && rules->ignore == BUF__VALIDATE__IGNORE__IGNORE_ALWAYS;
}

bool has_rules(const Buf__Validate__FieldRules *rules)
{
    return rules != NULL && !ignored(rules) &&
           (rules->required || rules->type_case != BUF__VALIDATE__FIELD_RULES__TYPE__NOT_SET);
}

const Buf__Validate__FieldRules *element_rules(const struct field *field)
{
    if (field->rules == NULL) {
        return NULL;
    }
    if (field->rules->type_case == BUF__VALIDATE__FIELD_RULES__TYPE_REPEATED) {
        return field->rules->repeated->items;
    }
    return field->rules->type_case == BUF__VALIDATE__FIELD_RULES__TYPE_MAP
               ? field->rules->map->values
               : NULL;
}

bool walks(const struct field *field)
{
    return field->message != NULL && field->message->validated && !ignored(field->rules) &&
           !ignored(element_rules(field));
}

bool has_own_rules(const struct message *message)
{
    for (size_t i = 0; i < message->n_oneofs; i++) {
        if (message->oneofs[i].required) {
            return true;
        }
    }
    for (size_t i = 0; i < message->n_fields; i++) {
        if (has_rules(message->fields[i].rules)) {
            return true;
        }
    }
    return false;
}

static bool needs_validator(const struct message *message)
{
    for (size_t i = 0; i < message->n_fields; i++) {
        if (walks(&message->fields[i])) {
            return true;
        }
    }
    return has_own_rules(message);
}

static void find_validated(struct model *model)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t f = 0; f < model->n_files; f++) {
            for (size_t i = 0; i < model->files[f].n_messages; i++) {
                struct message *message = model->files[f].messages[i];

                if (!message->validated && needs_validator(message)) {
                    message->validated = true;
                    changed = true;
                }
            }
        }
    }
}

/* A request leads to it, so that its rules are checked. */
static void mark_checked(struct message *message)
{
    if (message->checked) {
        return;
    }
    message->checked = true;
    for (size_t i = 0; i < message->n_fields; i++) {
        if (walks(&message->fields[i])) {
            mark_checked(message->fields[i].message);
        }
    }
}

/* It is in a response or in an event. */
static void mark_sent(struct message *message)
{
    if (message->sent) {
        return;
    }
    message->sent = true;
    for (size_t i = 0; i < message->n_fields; i++) {
        if (message->fields[i].message != NULL) {
            mark_sent(message->fields[i].message);
        }
    }
}

void find_ways(struct model *model)
{
    find_validated(model);
    for (size_t f = 0; f < model->n_files; f++) {
        const struct file *file = &model->files[f];

        for (size_t s = 0; s < file->n_services; s++) {
            for (size_t m = 0; m < file->services[s].n_methods; m++) {
                mark_checked(file->services[s].methods[m].request);
                mark_sent(file->services[s].methods[m].response);
            }
        }
        for (size_t i = 0; i < file->n_messages; i++) {
            if (file->messages[i]->event != NULL) {
                mark_sent(file->messages[i]);
            }
        }
    }
}
