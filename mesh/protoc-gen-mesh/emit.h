/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a generated header (.mesh.h) and source (.mesh.c). */
#ifndef MESH_GEN_EMIT_H
#define MESH_GEN_EMIT_H

#include "model.h"
#include "text.h"

enum { EMIT_MAX_VARS = 16 };

/* What a template of a method may name: file, prefix, state, method, METHOD, Method, request, ...
 */
struct method_vars {
    struct var vars[EMIT_MAX_VARS];
};
struct method_vars emit_method_vars(const struct service *service, const struct method *method);

/* The macro that keeps a header from being read twice. */
const char *emit_guard(const struct file *file);
void emit_header(struct text *out, const struct model *model, const struct file *file);
void emit_source(struct text *out, const struct model *model, const struct file *file);

/* service.c */
void emit_service_header(struct text *out, const struct service *service);
void emit_service_source(struct text *out, const struct service *service);

/* events.c */
const char *event_name(const struct message *event); /* "order_event_order_placed" */
const char *inbox_prefix(const struct file *file);
void emit_events_header(struct text *out, const struct file *file);
void emit_events_source(struct text *out, const struct file *file);
void emit_inbox_header(struct text *out, const struct file *file);
void emit_inbox_source(struct text *out, const struct file *file);

/* facts.c: what is written down rather than called. */
void emit_presence_helpers(struct text *out, const struct file *file);
void emit_sensitive_includes(struct text *out, const struct model *model, const struct file *file);
void emit_sensitive(struct text *out, const struct model *model, const struct file *file);
void emit_descriptor_set(struct text *out, const struct model *model, const struct file *file);
char *methods_json(const struct model *model);

/* validators.c */
/* The function that validates the message, or NULL if neither it nor anything inside has rules. */
const char *validator_name(const struct message *message);
/* All validators that the methods of the file's services need. */
void emit_validators(struct text *out, const struct model *model, const struct file *file);

#endif
