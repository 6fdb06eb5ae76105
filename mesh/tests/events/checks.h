/* SPDX-License-Identifier: Apache-2.0 */
/* For files that help the tests: as test.h, which belongs to the file with the cases. */
#ifndef TEST_EVENTS_CHECKS_H
#define TEST_EVENTS_CHECKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* cmocka needs those above it. clang-format off keeps them there. */
/* clang-format off */
#include <cmocka.h>
/* clang-format on */

#define CHECK(condition) assert_true(condition)
#define CHECK_TEXT(actual, expected) assert_string_equal(actual, expected)
#define CHECK_INT(actual, expected) assert_int_equal(actual, expected)

/* For how long something is waited for. */
#define PATIENCE_MS 20000

/* Of the environment that with-servers makes; without it the tests are skipped. */
const char *env(const char *name);
void pause_ms(int64_t ms);

#endif
