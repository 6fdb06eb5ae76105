/* SPDX-License-Identifier: Apache-2.0 */
/* What protoc was given, with names in C, types found and options read. */
#ifndef MESH_GEN_MODEL_H
#define MESH_GEN_MODEL_H

#include "buf/validate/validate.pb-c.h"
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "mesh/v1/options.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where something stands in its file: the numbers of SourceCodeInfo.Location.path. */
struct place {
    const struct file *file;
    uint32_t path[64];
    size_t depth;
};

struct enumeration {
    const Google__Protobuf__EnumDescriptorProto *proto;
    struct place place;
    const char *full_name; /* "fashion.order.v1.OrderStatus" */
    const char *c_type;
    const char *c_lower;
    const char *c_upper;
};

struct field {
    const Google__Protobuf__FieldDescriptorProto *proto;
    const struct message *parent;
    struct place place;
    const char *c_name;
    const char *case_name;   /* member that tells which of a oneof is set, or NULL */
    struct message *message; /* of a message field */
    const struct enumeration *enumeration;
    const Buf__Validate__FieldRules *rules; /* NULL: none */
    bool repeated;                          /* also true for maps */
    bool map;
    bool sensitive;
};

struct oneof {
    const Google__Protobuf__OneofDescriptorProto *proto;
    struct place place;
    const char *case_name;
    bool synthetic;
    bool required;
};

struct message {
    const Google__Protobuf__DescriptorProto *proto;
    struct place place;
    const char *full_name;
    const char *c_type;
    const char *c_lower;
    const char *c_upper;
    struct field *fields;
    size_t n_fields;
    struct oneof *oneofs;
    size_t n_oneofs;
    const Mesh__V1__EventOptions *event; /* NULL: no event */
    bool inbox;
    const char *unsupported; /* why it, or a message inside it, cannot travel; NULL if it can */
    bool validated;          /* it, or a message inside it, has rules */
    bool checked;            /* a request leads to it */
    bool sent;               /* a response or an event leads to it */
};

struct method {
    const Google__Protobuf__MethodDescriptorProto *proto;
    struct place place;
    const char *snake;
    struct message *request;
    struct message *response;
    bool client_streaming;
    bool server_streaming;
    int idempotency; /* as in google.protobuf.MethodOptions */
};

struct service {
    const Google__Protobuf__ServiceDescriptorProto *proto;
    struct place place;
    const char *full_name;
    const char *c_lower;
    const char *prefix; /* of everything that belongs to the service */
    const char *state;  /* "order_service": the struct of the author's own state */
    struct method *methods;
    size_t n_methods;
};

struct file {
    const Google__Protobuf__FileDescriptorProto *proto;
    const char *name;      /* "fashion/order/v1/order.proto" */
    const char *stem;      /* without ".proto" */
    const char *package;   /* "" if none */
    const char *c_package; /* NULL if not set */
    const char *prefix;    /* of everything that belongs to the file */
    bool generate;
    bool foreign; /* its options are not for us: descriptor.proto, validate.proto itself */
    struct message **messages; /* nested ones too, outer before inner */
    size_t n_messages;
    struct enumeration **enumerations;
    size_t n_enumerations;
    struct service *services;
    size_t n_services;
};

struct model {
    struct file *files; /* imports before those that import them */
    size_t n_files;
};

/* Reads the request; what it cannot read is refused through problem(). */
struct model *model_new(const Google__Protobuf__Compiler__CodeGeneratorRequest *request);

const struct file *model_file(const struct model *model, const char *name);
/* By "fashion.order.v1.Order", with or without a leading dot; NULL if there is none. */
struct message *model_message(const struct model *model, const char *full_name);
const struct field *message_field(const struct message *message, const char *name);

/* Finds out which messages have rules, directly or inside, and where messages are used. */
void find_ways(struct model *model);

/* ---- what cannot be generated --------------------------------------------------------------- */

/* Adds "file:line:column: text" to the answer's error. */
void problem(const struct place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Finds everything in the files to generate that has no form in C or in the runtime. */
void refuse(const struct model *model);
/* All problems, one per line; NULL if there are none. */
char *problems_text(void);

struct place place_of_file(const struct file *file);
/* The place of part `number` of kind `kind` (a field number of descriptor.proto) inside outer. */
struct place place_inside(const struct place *outer, uint32_t kind, uint32_t number);

#endif
