/* SPDX-License-Identifier: Apache-2.0 */
#include "allocations.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

#ifdef SANITIZED

int64_t allocations_so_far(void)
{
    return 0;
}

#else

/* Threads count in places of their own: one for all would cost more than what is measured. */
#define N_PLACES 64

static struct place {
    alignas(64) _Atomic int64_t n;
} places[N_PLACES];
static _Atomic unsigned n_threads;
static _Thread_local struct place *mine;

/* NOLINTBEGIN(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name) */
/* The C library's own, under the names that it keeps for those who replace them. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

static void count(void)
{
    if (mine == NULL) {
        mine = &places[atomic_fetch_add(&n_threads, 1) % N_PLACES];
    }
    atomic_fetch_add_explicit(&mine->n, 1, memory_order_relaxed);
}

int64_t allocations_so_far(void)
{
    int64_t n = 0;

    for (int i = 0; i < N_PLACES; i++) {
        n += atomic_load(&places[i].n);
    }
    return n;
}

void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
    count();
    return __libc_realloc(memory, size);
}
/* NOLINTEND(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name) */

#endif
