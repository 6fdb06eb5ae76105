/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <math.h>

static Features__Numbers good_numbers(void)
{
    Features__Numbers numbers = FEATURES__NUMBERS__INIT;

    numbers.an_int64 = 1;
    numbers.a_uint32 = 3000000000u;
    numbers.a_uint64 = 10000000000000000000u;
    numbers.a_sint32 = -1;
    numbers.a_fixed64 = 7;
    numbers.a_sfixed32 = -1;
    numbers.a_float = 0.2f;
    numbers.a_double = 0.2;
    numbers.a_bool = 1;
    numbers.one_of = FEATURES__COLOUR__COLOUR_RED;
    numbers.none_of = FEATURES__COLOUR__COLOUR_RED;
    numbers.needed = 5;
    return numbers;
}

static const char *found_in(const Features__Numbers *numbers)
{
    return found(FEATURES_METHOD_CHECK_NUMBERS, numbers);
}

TEST(numbers_that_keep_all_rules_are_fine)
{
    Features__Numbers numbers = good_numbers();

    CHECK_TEXT(found_in(&numbers), "");
}

TEST(rules_are_named_as_protovalidate_names_them)
{
    Features__Numbers numbers = FEATURES__NUMBERS__INIT;

    CHECK_TEXT(found_in(&numbers),
               "an_int64: int64.gt_lte, a_uint32: uint32.gte, a_uint64: uint64.gte_lt, "
               "a_sint32: sint32.in, a_fixed64: fixed64.const, a_sfixed32: sfixed32.lte, "
               "a_float: float.gte_lte, a_double: double.gt, a_bool: bool.const, "
               "one_of: enum.in, none_of: enum.not_in, needed: required");
}

TEST(bounds_at_the_end_of_a_type_hold)
{
    Features__Numbers numbers = good_numbers();

    numbers.an_int32 = INT32_MIN;
    numbers.an_int64 = INT64_MAX;
    numbers.a_uint32 = UINT32_MAX;
    numbers.a_uint64 = UINT64_MAX - 1;
    numbers.a_fixed32 = UINT32_MAX - 1;
    CHECK_TEXT(found_in(&numbers), "");
    numbers.an_int32 = 10;
    numbers.an_int64 = INT64_MIN;
    numbers.a_uint32 = 2999999999u;
    numbers.a_uint64 = UINT64_MAX;
    numbers.a_fixed32 = UINT32_MAX;
    CHECK_TEXT(found_in(&numbers), "an_int32: int32.gte_lt, an_int64: int64.gt_lte, "
                                   "a_uint32: uint32.gte, a_uint64: uint64.gte_lt, "
                                   "a_fixed32: fixed32.lt");
}

TEST(crossed_bounds_mean_the_values_outside)
{
    Features__Numbers numbers = good_numbers();

    numbers.a_sfixed64 = 4;
    CHECK_TEXT(found_in(&numbers), "");
    numbers.a_sfixed64 = 11;
    CHECK_TEXT(found_in(&numbers), "");
    numbers.a_sfixed64 = 5;
    CHECK_TEXT(found_in(&numbers), "a_sfixed64: sfixed64.gt_lt_exclusive");
    numbers.a_sfixed64 = 10;
    CHECK_TEXT(found_in(&numbers), "a_sfixed64: sfixed64.gt_lt_exclusive");
}

TEST(lists_of_numbers_allow_and_forbid)
{
    Features__Numbers numbers = good_numbers();

    numbers.a_sint32 = 0;
    numbers.a_sint64 = -1;
    CHECK_TEXT(found_in(&numbers), "a_sint32: sint32.in, a_sint64: sint64.not_in");
}

TEST(floats_compare_in_their_own_precision)
{
    Features__Numbers numbers = good_numbers();

    numbers.a_float = 0.1f;
    CHECK_TEXT(found_in(&numbers), "");
    numbers.a_float = 0.3f;
    CHECK_TEXT(found_in(&numbers), "");
    numbers.a_float = nextafterf(0.3f, 1);
    CHECK_TEXT(found_in(&numbers), "a_float: float.gte_lte");
    numbers.a_double = 0.1;
    CHECK_TEXT(found_in(&numbers), "a_float: float.gte_lte, a_double: double.gt");
}

TEST(nan_keeps_no_bound_and_infinity_is_not_finite)
{
    Features__Numbers numbers = good_numbers();

    numbers.a_float = NAN;
    numbers.a_double = NAN;
    CHECK_TEXT(found_in(&numbers),
               "a_float: float.gte_lte, a_double: double.gt, a_double: double.finite");
    numbers.a_float = 0.2f;
    numbers.a_double = INFINITY;
    CHECK_TEXT(found_in(&numbers), "a_double: double.finite");
}

TEST(enums_are_open_unless_they_are_told_to_be_closed)
{
    Features__Numbers numbers = good_numbers();

    numbers.open = (Features__Colour)77;
    CHECK_TEXT(found_in(&numbers), "");
    numbers.defined = FEATURES__COLOUR__COLOUR_BELOW;
    CHECK_TEXT(found_in(&numbers), "");
    numbers.defined = (Features__Colour)2;
    CHECK_TEXT(found_in(&numbers), "defined: enum.defined_only");
}

TEST(negative_enum_values_can_be_listed)
{
    Features__Numbers numbers = good_numbers();

    numbers.one_of = FEATURES__COLOUR__COLOUR_BELOW;
    CHECK_TEXT(found_in(&numbers), "");
    numbers.one_of = FEATURES__COLOUR__COLOUR_GREEN;
    CHECK_TEXT(found_in(&numbers), "one_of: enum.in");
}

TEST(a_required_zero_is_missing_and_nothing_else)
{
    Features__Numbers numbers = good_numbers();

    numbers.needed = 0;
    CHECK_TEXT(found_in(&numbers), "needed: required");
    numbers.needed = 4;
    CHECK_TEXT(found_in(&numbers), "needed: int64.gte");
}

TEST(durations_compare_with_their_nanoseconds)
{
    Features__Numbers numbers = good_numbers();
    Google__Protobuf__Duration wait = GOOGLE__PROTOBUF__DURATION__INIT;

    numbers.wait = &wait;
    wait.nanos = 500000000;
    CHECK_TEXT(found_in(&numbers), "");
    wait.nanos = 499999999;
    CHECK_TEXT(found_in(&numbers), "wait: duration.gte_lt");
    wait.seconds = 59;
    wait.nanos = 999999999;
    CHECK_TEXT(found_in(&numbers), "");
    wait.seconds = 60;
    wait.nanos = 0;
    CHECK_TEXT(found_in(&numbers), "wait: duration.gte_lt");
    CHECK_TEXT(ctx->scope->error->violations[0].text,
               "must be greater than or equal to 0.500000000s and less than 60s");
    wait.seconds = -1;
    CHECK_TEXT(found_in(&numbers), "wait: duration.gte_lt");
}

TEST(what_is_no_duration_is_not_compared)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
    } wrong[] = {{0, 2000000000},
                 {2, -1},
                 {-2, 1},
                 {50, 1000000000},
                 {-50, -1000000000},
                 {315576000001, 0},
                 {-315576000001, 0},
                 {INT64_MIN, INT32_MIN}};
    Features__Numbers numbers = good_numbers();
    Google__Protobuf__Duration wait = GOOGLE__PROTOBUF__DURATION__INIT;

    numbers.wait = &wait;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        wait.seconds = wrong[i].seconds;
        wait.nanos = wrong[i].nanos;
        CHECK_TEXT(found_in(&numbers), "wait: duration.valid");
    }
    wait.seconds = -315576000000;
    wait.nanos = -999999999;
    CHECK_TEXT(found_in(&numbers), "wait: duration.gte_lt");
}

TEST(minus_zero_is_a_value)
{
    Features__Numbers numbers = good_numbers();

    numbers.unless_zero = 0.0;
    CHECK_TEXT(found_in(&numbers), "");
    numbers.unless_zero = -0.0;
    CHECK_TEXT(found_in(&numbers), "unless_zero: double.gte");
}

TEST_MAIN(setup, teardown)
