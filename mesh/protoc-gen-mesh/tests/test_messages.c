/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of field goes through pack and unpack, with proto3 optional as the helpers see it. */
#include "generator/features.mesh.h"
#include "test.h"

typedef Features__Everything everything;

/* Packs and unpacks; freed by the caller. */
static everything *round_trip(const everything *message)
{
    size_t size = features__everything__get_packed_size(message);
    uint8_t *bytes = malloc(size + 1);
    everything *copy;

    CHECK(bytes != NULL);
    features__everything__pack(message, bytes);
    copy = features__everything__unpack(NULL, size, bytes);
    free(bytes);
    CHECK(copy != NULL);
    return copy;
}

TEST(numbers_keep_their_values)
{
    everything message = FEATURES__EVERYTHING__INIT;
    everything *copy;

    message.a_double = 0.1;
    message.a_float = 0.1f;
    message.an_int32 = INT32_MIN;
    message.an_int64 = INT64_MIN;
    message.a_uint32 = UINT32_MAX;
    message.a_uint64 = UINT64_MAX;
    message.a_sint32 = INT32_MIN;
    message.a_sint64 = INT64_MIN;
    message.a_fixed32 = UINT32_MAX;
    message.a_fixed64 = UINT64_MAX;
    message.a_sfixed32 = INT32_MIN;
    message.a_sfixed64 = INT64_MIN;
    message.a_bool = 1;
    message.inner = FEATURES__EVERYTHING__INNER__INNER_ONE;
    message.colour = FEATURES__COLOUR__COLOUR_BELOW;
    copy = round_trip(&message);
    CHECK(copy->a_double == message.a_double && copy->a_float == message.a_float);
    CHECK(copy->an_int32 == INT32_MIN && copy->an_int64 == INT64_MIN);
    CHECK(copy->a_uint32 == UINT32_MAX && copy->a_uint64 == UINT64_MAX);
    CHECK(copy->a_sint32 == INT32_MIN && copy->a_sint64 == INT64_MIN);
    CHECK(copy->a_fixed32 == UINT32_MAX && copy->a_fixed64 == UINT64_MAX);
    CHECK(copy->a_sfixed32 == INT32_MIN && copy->a_sfixed64 == INT64_MIN);
    CHECK(copy->a_bool && copy->inner == message.inner && copy->colour == message.colour);
    features__everything__free_unpacked(copy, NULL);
}

TEST(optional_fields_tell_zero_from_nothing)
{
    everything message = FEATURES__EVERYTHING__INIT;
    everything *copy = round_trip(&message);

    CHECK(!features__everything_has_maybe_text(copy));
    CHECK(!features__everything_has_maybe_number(copy));
    CHECK(!features__everything_has_maybe_part(copy));
    features__everything__free_unpacked(copy, NULL);
    message._maybe_number_case = FEATURES__EVERYTHING___MAYBE_NUMBER_MAYBE_NUMBER;
    message._maybe_text_case = FEATURES__EVERYTHING___MAYBE_TEXT_MAYBE_TEXT;
    message.maybe_text = "";
    message._int_case = FEATURES__EVERYTHING___INT_INT;
    message.int_ = 3;
    copy = round_trip(&message);
    CHECK(features__everything_has_maybe_number(copy) && copy->maybe_number == 0);
    CHECK(features__everything_has_maybe_text(copy));
    CHECK_TEXT(copy->maybe_text, "");
    CHECK(features__everything_has_int_(copy) && copy->int_ == 3);
    CHECK(!features__everything_has_maybe_bool(copy));
    CHECK(!features__everything_has_maybe_colour(copy));
    features__everything__free_unpacked(copy, NULL);
}

TEST(a_oneof_holds_its_last_choice)
{
    everything message = FEATURES__EVERYTHING__INIT;
    Features__Everything__Part part = FEATURES__EVERYTHING__PART__INIT;
    everything *copy;

    part.name = "p";
    message.choice_case = FEATURES__EVERYTHING__CHOICE_CHOSEN_PART;
    message.chosen_part = &part;
    copy = round_trip(&message);
    CHECK_INT(copy->choice_case, FEATURES__EVERYTHING__CHOICE_CHOSEN_PART);
    CHECK_TEXT(copy->chosen_part->name, "p");
    features__everything__free_unpacked(copy, NULL);
    message.choice_case = FEATURES__EVERYTHING__CHOICE_CHOSEN_NUMBER;
    message.chosen_number = -1;
    copy = round_trip(&message);
    CHECK_INT(copy->choice_case, FEATURES__EVERYTHING__CHOICE_CHOSEN_NUMBER);
    CHECK(copy->chosen_number == -1);
    features__everything__free_unpacked(copy, NULL);
}

TEST(texts_bytes_lists_and_nested_messages_survive)
{
    everything message = FEATURES__EVERYTHING__INIT;
    Features__Everything__Part inner = FEATURES__EVERYTHING__PART__INIT;
    Features__Everything__Part outer = FEATURES__EVERYTHING__PART__INIT;
    Features__Everything__Part *inners[] = {&inner};
    Features__Colour colours[] = {FEATURES__COLOUR__COLOUR_BELOW, FEATURES__COLOUR__COLOUR_RED};
    int64_t numbers[] = {0, -1, INT64_MAX};
    const char *texts[] = {"a", ""};
    uint8_t bytes[] = {0, 255};
    everything *copy;

    inner.name = "inner";
    outer.parts = inners;
    outer.n_parts = 1;
    message.part = &outer;
    message.colours = colours;
    message.n_colours = 2;
    message.numbers = numbers;
    message.n_numbers = 3;
    message.texts = texts;
    message.n_texts = 2;
    message.a_string = "text";
    message.some_bytes = (ProtobufCBinaryData){2, bytes};
    copy = round_trip(&message);
    CHECK_TEXT(copy->part->parts[0]->name, "inner");
    CHECK(copy->n_colours == 2 && copy->colours[0] == FEATURES__COLOUR__COLOUR_BELOW);
    CHECK(copy->n_numbers == 3 && copy->numbers[2] == INT64_MAX);
    CHECK(copy->n_texts == 2);
    CHECK_TEXT(copy->texts[1], "");
    CHECK_TEXT(copy->a_string, "text");
    CHECK(copy->some_bytes.len == 2 && copy->some_bytes.data[1] == 255);
    features__everything__free_unpacked(copy, NULL);
}

TEST(maps_and_well_known_types_survive)
{
    everything message = FEATURES__EVERYTHING__INIT;
    Features__Everything__PartsByNameEntry entry = FEATURES__EVERYTHING__PARTS_BY_NAME_ENTRY__INIT;
    Features__Everything__PartsByNameEntry *entries[] = {&entry};
    Features__Everything__Part part = FEATURES__EVERYTHING__PART__INIT;
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Google__Protobuf__Duration duration = GOOGLE__PROTOBUF__DURATION__INIT;
    everything *copy;

    part.name = "p";
    entry.key = "k";
    entry.value = &part;
    message.parts_by_name = entries;
    message.n_parts_by_name = 1;
    time.seconds = INT64_C(253402300799);
    duration.nanos = -1;
    message.time = &time;
    message.duration = &duration;
    copy = round_trip(&message);
    CHECK_TEXT(copy->parts_by_name[0]->key, "k");
    CHECK_TEXT(copy->parts_by_name[0]->value->name, "p");
    CHECK(copy->time->seconds == time.seconds && copy->duration->nanos == -1);
    features__everything__free_unpacked(copy, NULL);
}

TEST_MAIN(NULL, NULL)
