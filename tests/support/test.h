/* SPDX-License-Identifier: Apache-2.0 */
/* A test file is a program of sentences: TEST(a_sentence) { CHECK(...); } and nothing else. Runs on
 * cmocka. */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* cmocka needs those above it. clang-format off keeps them there. */
/* clang-format off */
#include <cmocka.h>
/* clang-format on */

#define TEST_MAX 256

static struct CMUnitTest test_cases[TEST_MAX];
static size_t test_n_cases;
/* Registers itself before main() in the order of the file. */
#define TEST(name)                                                                                 \
    static void test_##name(void **state);                                                         \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        test_cases[test_n_cases++] = (struct CMUnitTest){#name, test_##name, NULL, NULL, NULL};    \
    }                                                                                              \
    static void test_##name(void **state __attribute__((unused)))

#define CHECK(condition) assert_true(condition)
#define CHECK_TEXT(actual, expected) assert_string_equal(actual, expected)
#define CHECK_INT(actual, expected) assert_int_equal(actual, expected)

/* Ends every test program: TEST_MAIN(setup, teardown) with fixtures around all cases, or NULLs. */
#define TEST_MAIN(setup, teardown)                                                                 \
    int main(void)                                                                                 \
    {                                                                                              \
        return _cmocka_run_group_tests(__FILE__, test_cases, test_n_cases, setup, teardown);       \
    }

#endif
