/* SPDX-License-Identifier: Apache-2.0 */
/* How often a program that has this allocates: its malloc() and its kin count for all libraries. */
#ifndef BENCH_ALLOCATIONS_H
#define BENCH_ALLOCATIONS_H

#include <stdint.h>

/* Of all threads; always 0 under a sanitizer, which has a malloc() of its own. */
int64_t allocations_so_far(void);

#endif
