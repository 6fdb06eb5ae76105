/* SPDX-License-Identifier: Apache-2.0 */
/* Finds .proto files by name, symbol or extension in descriptor sets that programs carry. */
#ifndef MESH_RPC_DESCRIPTOR_INDEX_H
#define MESH_RPC_DESCRIPTOR_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct descriptor_index;

/* One file of the sets. */
struct descriptor_file {
    const char *name;
    const uint8_t *bytes; /* a serialized FileDescriptorProto, inside its set */
    size_t size;
    const char **imports; /* names */
    size_t n_imports;
};

#define DESCRIPTOR_NONE SIZE_MAX

struct descriptor_index *mesh__descriptors_new(void);
void mesh__descriptors_free(struct descriptor_index *index);
/*
 * Adds the files of a serialized FileDescriptorSet that are not there yet. The bytes are borrowed
 * and are the program's own: a malformed set ends the process.
 */
void mesh__descriptors_add(struct descriptor_index *index, const uint8_t *set, size_t size);
/* After the last set, before the first question. */
void mesh__descriptors_sort(struct descriptor_index *index);

/* Files are numbered from 0. */
size_t mesh__descriptors_count(const struct descriptor_index *index);
const struct descriptor_file *mesh__descriptors_file(const struct descriptor_index *index,
                                                     size_t file);
/* The number of a file; DESCRIPTOR_NONE if there is none. */
size_t mesh__descriptors_by_name(const struct descriptor_index *index, const char *name);
/* The file that declares a full name of any kind. */
size_t mesh__descriptors_by_symbol(const struct descriptor_index *index, const char *symbol);
/* The file that declares extension `number` of the message `type`. */
size_t mesh__descriptors_by_extension(const struct descriptor_index *index, const char *type,
                                      int32_t number);
/* The numbers of the extensions of a message, at most max of them; returns how many there are. */
size_t mesh__descriptors_extensions(const struct descriptor_index *index, const char *type,
                                    size_t max, int32_t *ret_numbers);

#endif
