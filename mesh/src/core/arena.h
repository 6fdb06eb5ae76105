/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given back all at once, with a cap on what foreign bytes may make us allocate. */
#ifndef MESH_CORE_ARENA_H
#define MESH_CORE_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct mesh_arena;

/* cap_bytes bounds what mesh__arena_try() hands out, in total; 0 means the default of 16 MiB. */
struct mesh_arena *mesh__arena_new(size_t cap_bytes);
void mesh__arena_free(struct mesh_arena *arena);
/* Gives everything back and keeps one block for the next use. */
void mesh__arena_reset(struct mesh_arena *arena);

/* Zeroed, aligned for any type; ends the process when the system is out of memory. */
void *mesh__arena_alloc(struct mesh_arena *arena, size_t size);
/* The same for sizes that come from outside: NULL beyond the cap (and arena_exceeded is then true).
 */
void *mesh__arena_try(struct mesh_arena *arena, size_t size);
bool mesh__arena_exceeded(const struct mesh_arena *arena);
size_t mesh__arena_used(const struct mesh_arena *arena);
size_t mesh__arena_cap(const struct mesh_arena *arena);

/* An allocator for protobuf_c_message_unpack() that uses mesh__arena_try(); free does nothing. */
ProtobufCAllocator mesh__arena_allocator(struct mesh_arena *arena);

#endif
