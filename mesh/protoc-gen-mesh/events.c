/* SPDX-License-Identifier: Apache-2.0 */
/* Domain events: emitters for who publishes them, a handler table for who receives them. */
#include "emit.h"
#include "names.h"

#include <string.h>

static const char *event_snake(const struct message *event)
{
    return name_snake(event->proto->name);
}

const char *event_name(const struct message *event)
{
    return gen_printf("%s_event_%s", event->place.file->prefix, event_snake(event));
}

/* "fashion" and "order" of fashion.order.v1. */
static const char *package_part(const struct file *file, int number)
{
    const char *package = file->package;

    for (; number > 0; number--) {
        package += strcspn(package, ".");
        package += *package == '.';
    }
    return gen_printf("%.*s", (int)strcspn(package, "."), package);
}

static const char *offset_of(const struct message *event, const char *name)
{
    const struct field *field = message_field(event, name);

    if (field == NULL) {
        return "-1";
    }
    return gen_printf("offsetof(%s, %s)", event->c_type, field->c_name);
}

void emit_events_header(struct text *out, const struct file *file)
{
    for (size_t i = 0; i < file->n_messages; i++) {
        const struct message *event = file->messages[i];
        const struct var vars[] = {{"prefix", file->prefix},
                                   {"event", event_snake(event)},
                                   {"variable", event_name(event)},
                                   {"Event", event->c_type},
                                   {NULL, NULL}};

        if (event->event != NULL) {
            text_fill(
                out,
                "\nextern const struct mesh_event_type $variable$;\n"
                "MESH_STATUS $prefix$_emit_$event$(struct mesh_ctx *ctx, struct mesh_tx *tx,\n"
                "        const $Event$ *event);\n",
                vars);
        }
    }
}

void emit_events_source(struct text *out, const struct file *file)
{
    for (size_t i = 0; i < file->n_messages; i++) {
        const struct message *event = file->messages[i];

        if (event->event != NULL) {
            const struct var vars[] = {{"prefix", file->prefix},
                                       {"event", event_snake(event)},
                                       {"variable", event_name(event)},
                                       {"Event", event->c_type},
                                       {"lower", event->c_lower},
                                       {"name", event->proto->name},
                                       {"full_name", event->full_name},
                                       {"system", package_part(file, 0)},
                                       {"source", package_part(file, 1)},
                                       {"key", offset_of(event, event->event->key)},
                                       {"version", offset_of(event, event->event->version)},
                                       {NULL, NULL}};

            text_fill(
                out,
                "\nconst struct mesh_event_type $variable$ = {\n"
                "    .name = \"$name$\",\n"
                "    .full_name = \"$full_name$\",\n"
                "    .system = \"$system$\",\n"
                "    .source = \"$source$\",\n"
                "    .descriptor = &$lower$__descriptor,\n"
                "    .key_offset = $key$,\n"
                "    .version_offset = $version$,\n"
                "};\n"
                "\nMESH_STATUS $prefix$_emit_$event$(struct mesh_ctx *ctx, struct mesh_tx *tx,\n"
                "        const $Event$ *event)\n"
                "{\n"
                "    return mesh_emit(ctx, tx, &$variable$, (const ProtobufCMessage *)event);\n"
                "}\n",
                vars);
        }
    }
}

/* ---- inbox ------------------------------------------------------------------------------------
 */

/* The struct of the author's state: that of the only service, else named after the file. */
static const char *state_of(const struct file *file)
{
    if (file->n_services == 1) {
        return file->services[0].state;
    }
    return name_has_suffix(file->prefix, "_service") ? file->prefix
                                                     : gen_printf("%s_service", file->prefix);
}

const char *inbox_prefix(const struct file *file)
{
    return file->n_services == 1 ? file->services[0].prefix : file->prefix;
}

void emit_inbox_header(struct text *out, const struct file *file)
{
    for (size_t i = 0; i < file->n_messages; i++) {
        const struct message *inbox = file->messages[i];

        if (!inbox->inbox) {
            continue;
        }
        text_printf(out,
                    "\nstruct %s;\n\n"
                    "/* What happens on each event; a handler that is not set is "
                    "MESH_UNIMPLEMENTED. */\n"
                    "struct %s_inbox_handlers {\n",
                    state_of(file), inbox_prefix(file));
        for (size_t k = 0; k < inbox->n_fields; k++) {
            text_printf(out,
                        "    MESH_STATUS (*%s)(struct mesh_ctx *ctx, struct %s *service,\n"
                        "        struct mesh_tx *tx, const %s *event);\n",
                        inbox->fields[k].c_name, state_of(file), inbox->fields[k].message->c_type);
        }
        text_printf(out, "};\n\nextern const struct mesh_inbox_type %s_inbox_type;\n",
                    inbox_prefix(file));
    }
}

static const char inbox_dispatch[] =
    "\nstatic MESH_STATUS mesh__on_$field$(struct mesh_ctx *ctx, const void *handlers, void "
    "*service,\n"
    "        struct mesh_tx *tx, const ProtobufCMessage *event)\n"
    "{\n"
    "    const struct $prefix$_inbox_handlers *table = handlers;\n\n"
    "    if (table->$field$ == NULL) {\n"
    "        return mesh_fail(ctx, MESH_UNIMPLEMENTED, \"nothing handles $event$\");\n"
    "    }\n"
    "    return (table->$field$)(ctx, service, tx, (const $Event$ *)event);\n"
    "}\n";

static void emit_one_inbox(struct text *out, const struct file *file, const struct message *inbox)
{
    for (size_t k = 0; k < inbox->n_fields; k++) {
        const struct field *field = &inbox->fields[k];

        text_fill(out, inbox_dispatch,
                  (const struct var[]){{"prefix", inbox_prefix(file)},
                                       {"field", field->c_name},
                                       {"event", field->message->full_name},
                                       {"Event", field->message->c_type},
                                       {NULL, NULL}});
    }
    text_add(out, "\nstatic const struct mesh_inbox_entry mesh__inbox_entries[] = {\n",
             strlen("\nstatic const struct mesh_inbox_entry mesh__inbox_entries[] = {\n"));
    for (size_t k = 0; k < inbox->n_fields; k++) {
        text_printf(out, "    {&%s, mesh__on_%s},\n", event_name(inbox->fields[k].message),
                    inbox->fields[k].c_name);
    }
    text_printf(out,
                "};\n\nconst struct mesh_inbox_type %s_inbox_type = {mesh__inbox_entries, %zu};\n",
                inbox_prefix(file), inbox->n_fields);
}

void emit_inbox_source(struct text *out, const struct file *file)
{
    for (size_t i = 0; i < file->n_messages; i++) {
        if (file->messages[i]->inbox) {
            emit_one_inbox(out, file, file->messages[i]);
        }
    }
}
