/* SPDX-License-Identifier: Apache-2.0 */
#include "core/arena.h"
#include "test.h"

#include <stdalign.h>

static bool all_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

TEST(memory_is_zeroed_aligned_and_apart)
{
    struct mesh_arena *arena = mesh__arena_new(0);
    unsigned char *memory[200];

    for (size_t i = 0; i < 200; i++) {
        memory[i] = mesh__arena_alloc(arena, i);
        CHECK((uintptr_t)memory[i] % alignof(max_align_t) == 0);
        CHECK(all_zero(memory[i], i));
        memset(memory[i], (int)i, i);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j < i; j++) {
            CHECK_INT(memory[i][j], i);
        }
    }
    mesh__arena_free(arena);
}

TEST(nothing_has_an_address_of_its_own)
{
    struct mesh_arena *arena = mesh__arena_new(0);
    void *first = mesh__arena_alloc(arena, 0);
    void *second = mesh__arena_alloc(arena, 0);

    CHECK(first != NULL && second != NULL && first != second);
    mesh__arena_free(arena);
}

TEST(used_memory_is_zeroed_again_after_a_reset)
{
    struct mesh_arena *arena = mesh__arena_new(0);

    for (int round = 0; round < 50; round++) {
        size_t size = (size_t)1 << (round % 18);
        unsigned char *memory = mesh__arena_alloc(arena, size);

        CHECK(all_zero(memory, size));
        memset(memory, 0xff, size);
        mesh__arena_reset(arena);
        CHECK_INT(mesh__arena_used(arena), 0);
    }
    mesh__arena_free(arena);
}

TEST(a_reset_keeps_a_block)
{
    struct mesh_arena *arena = mesh__arena_new(0);
    void *before = mesh__arena_alloc(arena, 100);

    mesh__arena_reset(arena);
    CHECK(mesh__arena_alloc(arena, 100) == before);
    mesh__arena_free(arena);
}

TEST(a_large_piece_leaves_the_room_of_the_block_in_use)
{
    struct mesh_arena *arena = mesh__arena_new(0);
    char *before = mesh__arena_alloc(arena, 16);
    char *large = mesh__arena_alloc(arena, 1 << 20);
    char *after = mesh__arena_alloc(arena, 16);

    memset(large, 1, 1 << 20);
    CHECK(after > before && after - before < 256);
    mesh__arena_free(arena);
}

TEST(the_cap_bounds_what_foreign_bytes_get_in_total)
{
    struct mesh_arena *arena = mesh__arena_new(1000);

    CHECK_INT(mesh__arena_cap(arena), 1000);
    CHECK(mesh__arena_try(arena, 600) != NULL);
    CHECK(!mesh__arena_exceeded(arena));
    CHECK(mesh__arena_try(arena, 600) == NULL);
    CHECK(mesh__arena_exceeded(arena));
    CHECK(mesh__arena_try(arena, 100) != NULL); /* a smaller one still fits */
    mesh__arena_free(arena);
}

TEST(many_small_pieces_reach_the_cap_too)
{
    struct mesh_arena *arena = mesh__arena_new(1 << 20);
    size_t n = 0;

    while (mesh__arena_try(arena, 1) != NULL) {
        n++;
        assert_true(n <= 1 << 16); /* each costs at least its alignment */
    }
    CHECK(n > 1000);
    mesh__arena_free(arena);
}

TEST(sizes_near_the_end_of_the_range_are_refused)
{
    struct mesh_arena *arena = mesh__arena_new(0);

    CHECK(mesh__arena_try(arena, SIZE_MAX) == NULL);
    CHECK(mesh__arena_try(arena, SIZE_MAX - 15) == NULL);
    CHECK(mesh__arena_try(arena, SIZE_MAX / 2) == NULL);
    CHECK_INT(mesh__arena_used(arena), 0);
    mesh__arena_free(arena);
}

TEST(our_own_memory_does_not_count_against_the_cap)
{
    struct mesh_arena *arena = mesh__arena_new(1000);

    CHECK(mesh__arena_alloc(arena, 100000) != NULL);
    CHECK(mesh__arena_try(arena, 900) != NULL);
    CHECK(!mesh__arena_exceeded(arena));
    mesh__arena_free(arena);
}

TEST(a_reset_forgets_what_was_handed_out)
{
    struct mesh_arena *arena = mesh__arena_new(1000);

    CHECK(mesh__arena_try(arena, 2000) == NULL);
    mesh__arena_reset(arena);
    CHECK(!mesh__arena_exceeded(arena));
    CHECK(mesh__arena_try(arena, 900) != NULL);
    mesh__arena_free(arena);
}

TEST(the_allocator_of_protobuf_obeys_the_cap)
{
    struct mesh_arena *arena = mesh__arena_new(1000);
    ProtobufCAllocator allocator = mesh__arena_allocator(arena);
    void *memory = allocator.alloc(allocator.allocator_data, 500);

    CHECK(memory != NULL);
    allocator.free(allocator.allocator_data, memory);
    CHECK(allocator.alloc(allocator.allocator_data, 501) == NULL);
    CHECK(mesh__arena_exceeded(arena));
    mesh__arena_free(arena);
}

TEST(no_arena_is_freed_without_harm)
{
    mesh__arena_free(NULL);
}

TEST_MAIN(NULL, NULL)
