/* SPDX-License-Identifier: Apache-2.0 */
#include "core/arena.h"

#include "core/fatal.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* AddressSanitizer knows malloc() only: it is told what inside a block was handed out. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define UNPOISON(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#define RED_ZONE 16
#else
#define POISON(at, size) ((void)0)
#define UNPOISON(at, size) ((void)0)
#define RED_ZONE 0
#endif

#define ALIGNMENT alignof(max_align_t)
#define DEFAULT_CAP ((size_t)16 << 20)
#define FIRST_BLOCK ((size_t)8192) /* with its header */
#define LARGEST_BLOCK ((size_t)1 << 20)
#define KEPT_BLOCK ((size_t)64 << 10) /* a larger block is not kept over a reset */

struct block {
    struct block *next;
    size_t size; /* of data */
    alignas(max_align_t) unsigned char data[];
};

struct mesh_arena {
    struct block *blocks; /* the first is the one in use */
    unsigned char *at;    /* free room in it */
    size_t left;
    size_t next_size; /* of the next block, with its header */
    size_t used;
    size_t cap;   /* of tried */
    size_t tried; /* handed out by mesh__arena_try() */
    bool exceeded;
};

static size_t round_up(size_t size)
{
    if (size > SIZE_MAX / 2) {
        mesh__fatal("an allocation of %zu bytes", size);
    }
    if (size == 0) {
        size = 1; /* every allocation has an address of its own */
    }
    return (size + RED_ZONE + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct block *block_new(size_t data_size)
{
    struct block *block = malloc(sizeof(*block) + data_size);

    if (block == NULL) {
        mesh__fatal("out of memory: a block of %zu bytes", data_size);
    }
    block->next = NULL;
    block->size = data_size;
    POISON(block->data, data_size);
    return block;
}

static void block_free(struct block *block)
{
    UNPOISON(block->data, block->size);
    free(block);
}

static void use_block(struct mesh_arena *arena, struct block *block)
{
    block->next = arena->blocks;
    arena->blocks = block;
    arena->at = block->data;
    arena->left = block->size;
}

struct mesh_arena *mesh__arena_new(size_t cap_bytes)
{
    struct mesh_arena *arena = mesh__calloc(1, sizeof(*arena));

    arena->cap = cap_bytes != 0 ? cap_bytes : DEFAULT_CAP;
    arena->next_size = FIRST_BLOCK; /* made when first needed */
    return arena;
}

/* Frees the blocks from this one on. */
static void free_blocks(struct block *block)
{
    while (block != NULL) {
        struct block *next = block->next;

        block_free(block);
        block = next;
    }
}

void mesh__arena_free(struct mesh_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    free_blocks(arena->blocks);
    free(arena);
}

void mesh__arena_reset(struct mesh_arena *arena)
{
    struct block *kept = arena->blocks;

    arena->used = 0;
    arena->tried = 0;
    arena->exceeded = false;
    if (kept == NULL) {
        return;
    }
    free_blocks(kept->next);
    kept->next = NULL;
    arena->blocks = NULL;
    if (kept->size > KEPT_BLOCK) {
        block_free(kept);
        arena->at = NULL;
        arena->left = 0;
        arena->next_size = FIRST_BLOCK;
        return;
    }
    POISON(kept->data, kept->size);
    use_block(arena, kept);
}

/* Room for size bytes (rounded) where the block in use has not enough. */
static unsigned char *grow(struct mesh_arena *arena, size_t size)
{
    struct block *block;

    if (size > arena->next_size / 4 && arena->blocks != NULL) {
        /* Large: a block of its own behind the one in use, whose room is not lost. */
        block = block_new(size);
        block->next = arena->blocks->next;
        arena->blocks->next = block;
        return block->data;
    }
    while (arena->next_size < size + sizeof(*block)) {
        arena->next_size *= 2;
    }
    use_block(arena, block_new(arena->next_size - sizeof(*block)));
    if (arena->next_size < LARGEST_BLOCK) {
        arena->next_size *= 2;
    }
    arena->at += size;
    arena->left -= size;
    return arena->blocks->data;
}

/* rounded is round_up(size). */
static void *take(struct mesh_arena *arena, size_t size, size_t rounded)
{
    unsigned char *memory = arena->at;

    if (rounded <= arena->left) {
        arena->at += rounded;
        arena->left -= rounded;
    } else {
        memory = grow(arena, rounded);
    }
    arena->used += rounded;
    UNPOISON(memory, size);
    return memset(memory, 0, size);
}

void *mesh__arena_alloc(struct mesh_arena *arena, size_t size)
{
    return take(arena, size, round_up(size));
}

void *mesh__arena_try(struct mesh_arena *arena, size_t size)
{
    size_t left = arena->cap - arena->tried;
    size_t rounded;

    if (size > left || (rounded = round_up(size)) > left) {
        arena->exceeded = true;
        return NULL;
    }
    arena->tried += rounded;
    return take(arena, size, rounded);
}

bool mesh__arena_exceeded(const struct mesh_arena *arena)
{
    return arena->exceeded;
}

size_t mesh__arena_used(const struct mesh_arena *arena)
{
    return arena->used;
}

size_t mesh__arena_cap(const struct mesh_arena *arena)
{
    return arena->cap;
}

static void *allocator_alloc(void *data, size_t size)
{
    return mesh__arena_try(data, size);
}

static void allocator_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer; /* it goes with the arena */
}

ProtobufCAllocator mesh__arena_allocator(struct mesh_arena *arena)
{
    return (ProtobufCAllocator){allocator_alloc, allocator_free, arena};
}
