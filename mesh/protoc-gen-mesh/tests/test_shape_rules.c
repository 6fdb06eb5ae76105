/* SPDX-License-Identifier: Apache-2.0 */
/* Presence, oneofs, nested messages, lists and maps. */
#include "check.h"

#include <math.h>

static const char uuid[] = "0190b5a6-0000-7000-8000-000000000001";

static Features__Leaf leaf(const char *name)
{
    Features__Leaf made = FEATURES__LEAF__INIT;

    made.name = name;
    return made;
}

/* ---- presence ---------------------------------------------------------------------------------
 */

static Google__Protobuf__Timestamp since = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
static Features__Leaf good_leaf;

static Features__Presence good_presence(void)
{
    Features__Presence presence = FEATURES__PRESENCE__INIT;

    good_leaf = leaf("x");
    presence._wanted_case = FEATURES__PRESENCE___WANTED_WANTED;
    presence.wanted = "";
    presence.wanted_leaf = &good_leaf;
    presence.since = &since;
    presence.by_case = FEATURES__PRESENCE__BY_NUMBER;
    return presence;
}

static const char *found_in(const Features__Presence *presence)
{
    return found(FEATURES_METHOD_CHECK_PRESENCE, presence);
}

TEST(set_to_nothing_is_still_set)
{
    Features__Presence presence = good_presence();

    CHECK_TEXT(found_in(&presence), "");
}

TEST(everything_required_is_missed)
{
    Features__Presence presence = FEATURES__PRESENCE__INIT;

    CHECK_TEXT(found_in(&presence),
               "wanted: required, wanted_leaf: required, since: required, by: required");
}

TEST(a_time_that_has_to_be_set_is_one)
{
    Features__Presence presence = good_presence();
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

    presence.since = &time;
    time.seconds = 253402300799;
    time.nanos = 999999999;
    CHECK_TEXT(found_in(&presence), "");
    time.seconds++;
    CHECK_TEXT(found_in(&presence), "since: timestamp.valid");
    time.seconds = -62135596800;
    CHECK_TEXT(found_in(&presence), "");
    time.seconds--;
    CHECK_TEXT(found_in(&presence), "since: timestamp.valid");
    time.seconds = -1;
    time.nanos = -1;
    CHECK_TEXT(found_in(&presence), "since: timestamp.valid");
    time.nanos = 1000000000;
    CHECK_TEXT(found_in(&presence), "since: timestamp.valid");
}

TEST(optional_fields_are_checked_once_set)
{
    Features__Presence presence = good_presence();

    presence.maybe = 4; /* not set: its case says so */
    CHECK_TEXT(found_in(&presence), "");
    presence._maybe_case = FEATURES__PRESENCE___MAYBE_MAYBE;
    CHECK_TEXT(found_in(&presence), "maybe: int64.gte");
    presence.maybe = 5;
    presence._maybe_zero_case = FEATURES__PRESENCE___MAYBE_ZERO_MAYBE_ZERO;
    CHECK_TEXT(found_in(&presence), "maybe_zero: int32.gte");
}

TEST(messages_inside_are_walked_unless_ignored)
{
    Features__Presence presence = good_presence();
    Features__Leaf bad = leaf("");

    presence.leaf = &bad;
    presence.ignored_leaf = &bad;
    CHECK_TEXT(found_in(&presence), "leaf.name: string.min_len");
}

TEST(only_the_chosen_member_of_a_oneof_is_checked)
{
    Features__Presence presence = good_presence();
    Features__Leaf bad = leaf("");

    presence.by_case = FEATURES__PRESENCE__BY_ID;
    presence.id = uuid;
    CHECK_TEXT(found_in(&presence), "");
    presence.id = "x";
    CHECK_TEXT(found_in(&presence), "id: string.uuid");
    presence.by_case = FEATURES__PRESENCE__BY_BY_LEAF;
    presence.by_leaf = &bad;
    CHECK_TEXT(found_in(&presence), "by_leaf.name: string.min_len");
    presence.by_leaf = &good_leaf;
    presence.extra_case = FEATURES__PRESENCE__EXTRA_EXTRA_NUMBER;
    CHECK_TEXT(found_in(&presence), "extra_number: int32.gt");
}

/* ---- lists ------------------------------------------------------------------------------------
 */

static const char *one_tag[] = {"ab"};
static Features__Leaf *one_leaf[] = {&good_leaf};

static Features__Lists good_lists(void)
{
    Features__Lists lists = FEATURES__LISTS__INIT;

    good_leaf = leaf("x");
    lists.n_tags = 1;
    lists.tags = one_tag;
    lists.n_needed = 1;
    lists.needed = one_leaf;
    return lists;
}

static const char *found_in_lists(const Features__Lists *lists)
{
    return found(FEATURES_METHOD_CHECK_LISTS, lists);
}

TEST(lists_that_keep_all_rules_are_fine)
{
    Features__Lists lists = good_lists();

    CHECK_TEXT(found_in_lists(&lists), "");
}

TEST(empty_lists_miss_items)
{
    Features__Lists lists = FEATURES__LISTS__INIT;

    CHECK_TEXT(found_in_lists(&lists), "tags: repeated.min_items, needed: required");
}

TEST(elements_are_named_by_their_index)
{
    Features__Lists lists = good_lists();
    Features__Leaf bad = leaf("");
    Features__Leaf *leaves[] = {&good_leaf, &good_leaf, &bad};
    const char *tags[] = {"ab", "c"};

    lists.n_tags = 2;
    lists.tags = tags;
    lists.n_leaves = 3;
    lists.leaves = leaves;
    lists.n_free_leaves = 3;
    lists.free_leaves = leaves;
    CHECK_TEXT(found_in_lists(&lists), "tags[1]: string.min_len, leaves[2].name: string.min_len");
}

TEST(too_many_and_equal_elements_are_both_told)
{
    Features__Lists lists = good_lists();
    char tag[] = "ab"; /* the same text in another place */
    const char *tags[] = {"ab", "cd", "ef", tag};

    lists.n_tags = 4;
    lists.tags = tags;
    CHECK_TEXT(found_in_lists(&lists), "tags: repeated.max_items, tags: repeated.unique");
}

TEST(unique_tells_every_kind_of_scalar_apart)
{
    Features__Lists lists = good_lists();
    double doubles[] = {0.5, NAN, 0.25, NAN};
    float floats[] = {1, 2, 3};
    uint64_t uint64s[] = {1, UINT64_MAX, 0, UINT64_MAX - 1};
    int64_t int64s[] = {INT64_MIN, INT64_MAX, 0};
    uint8_t bytes[] = {1, 0, 2, 1, 0, 3};
    ProtobufCBinaryData blobs[] = {{3, bytes}, {3, bytes + 3}, {2, bytes}, {0, NULL}};
    Features__Colour colours[] = {FEATURES__COLOUR__COLOUR_RED, FEATURES__COLOUR__COLOUR_BELOW};
    protobuf_c_boolean bools[] = {1, 0};

    lists.doubles = doubles;
    lists.n_doubles = 4;
    lists.floats = floats;
    lists.n_floats = 3;
    lists.uint64s = uint64s;
    lists.n_uint64s = 4;
    lists.int64s = int64s;
    lists.n_int64s = 3;
    lists.blobs = blobs;
    lists.n_blobs = 4;
    lists.colours = colours;
    lists.n_colours = 2;
    lists.bools = bools;
    lists.n_bools = 2;
    CHECK_TEXT(found_in_lists(&lists), "");
    doubles[0] = 0.25;
    floats[2] = 1;
    uint64s[0] = UINT64_MAX;
    int64s[2] = INT64_MIN;
    blobs[3] = (ProtobufCBinaryData){2, bytes + 3};
    colours[0] = FEATURES__COLOUR__COLOUR_BELOW;
    bools[1] = 1;
    CHECK_TEXT(found_in_lists(&lists),
               "doubles: repeated.unique, uint64s: repeated.unique, blobs: repeated.unique, "
               "colours: repeated.unique, bools: repeated.unique, floats: repeated.unique, "
               "int64s: repeated.unique");
}

TEST(uniqueness_of_a_long_list_is_cheap)
{
    enum { N = 65536 };
    Features__Lists lists = good_lists();
    uint64_t *uint64s = mesh_alloc(ctx, N * sizeof(*uint64s));
    struct mesh_ctx *own = ctx;
    int64_t begin = mesh__now_ns();

    for (size_t i = 0; i < N; i++) {
        uint64s[i] = N - i;
    }
    lists.uint64s = uint64s;
    lists.n_uint64s = N;
    ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE); /* found() empties it */
    CHECK_TEXT(found_in_lists(&lists), "");
    mesh__ctx_free(ctx);
    ctx = own;
    /* All pairs would be two thousand million comparisons. */
    CHECK(mesh__now_ns() - begin < INT64_C(1000000000));
}

TEST(an_empty_list_may_be_ignored_and_zero_elements_too)
{
    Features__Lists lists = good_lists();
    int32_t numbers[] = {1};
    uint32_t zero_or_big[] = {0, 10, 9};

    lists.none_or_two = numbers;
    lists.n_none_or_two = 1;
    lists.zero_or_big = zero_or_big;
    lists.n_zero_or_big = 3;
    CHECK_TEXT(found_in_lists(&lists),
               "none_or_two: repeated.min_items, zero_or_big[2]: uint32.gte");
}

TEST(elements_of_an_enum_are_checked)
{
    Features__Lists lists = good_lists();
    Features__Colour colours[] = {FEATURES__COLOUR__COLOUR_RED, (Features__Colour)9};

    lists.colours = colours;
    lists.n_colours = 2;
    CHECK_TEXT(found_in_lists(&lists), "colours[1]: enum.defined_only");
}

TEST(empty_elements_are_ignored_where_it_says_so_and_others_are_not)
{
    Features__Lists lists = good_lists();
    Features__Leaf empty = leaf("");
    Features__Leaf unknown = leaf("");
    ProtobufCMessageUnknownField field = {99, PROTOBUF_C_WIRE_TYPE_VARINT, 1, (uint8_t[]){1}};
    Features__Leaf *leaves[] = {&empty, &good_leaf, &unknown};
    Google__Protobuf__Duration durations[2] = {GOOGLE__PROTOBUF__DURATION__INIT,
                                               GOOGLE__PROTOBUF__DURATION__INIT};
    Google__Protobuf__Duration *both[] = {&durations[0], &durations[1]};

    unknown.base.n_unknown_fields = 1;
    unknown.base.unknown_fields = &field;
    lists.empty_or_good = leaves;
    lists.n_empty_or_good = 2;
    durations[1].seconds = 1;
    lists.none_or_long = both;
    lists.n_none_or_long = 1;
    CHECK_TEXT(found_in_lists(&lists), "");
    lists.n_empty_or_good = 3;
    lists.n_none_or_long = 2;
    CHECK_TEXT(found_in_lists(&lists),
               "empty_or_good[2].name: string.min_len, none_or_long[1]: duration.gt");
}

/* ---- maps -------------------------------------------------------------------------------------
 */

static Features__Maps__TextsEntry text_entry(const char *key, const char *value)
{
    Features__Maps__TextsEntry entry = FEATURES__MAPS__TEXTS_ENTRY__INIT;

    entry.key = key;
    entry.value = value;
    return entry;
}

static Features__Maps__TextsEntry good_entry;
static Features__Maps__TextsEntry *one_text[] = {&good_entry};
static Features__Maps__NeededEntry needed_entry = FEATURES__MAPS__NEEDED_ENTRY__INIT;
static Features__Maps__NeededEntry *one_needed[] = {&needed_entry};

static Features__Maps good_maps(void)
{
    Features__Maps maps = FEATURES__MAPS__INIT;

    good_entry = text_entry("ab", "x");
    maps.texts = one_text;
    maps.n_texts = 1;
    maps.needed = one_needed;
    maps.n_needed = 1;
    return maps;
}

static const char *found_in_maps(const Features__Maps *maps)
{
    return found(FEATURES_METHOD_CHECK_MAPS, maps);
}

TEST(maps_that_keep_all_rules_are_fine)
{
    Features__Maps maps = good_maps();

    CHECK_TEXT(found_in_maps(&maps), "");
}

TEST(empty_maps_miss_pairs)
{
    Features__Maps maps = FEATURES__MAPS__INIT;

    CHECK_TEXT(found_in_maps(&maps), "texts: map.min_pairs, needed: required");
}

TEST(a_key_that_comes_twice_is_one_pair)
{
    Features__Maps maps = good_maps();
    Features__Maps__TextsEntry a = text_entry("ab", "1");
    Features__Maps__TextsEntry b = text_entry("cd", "2");
    Features__Maps__TextsEntry again = text_entry("ab", "3");
    Features__Maps__TextsEntry c = text_entry("ef", "4");
    Features__Maps__TextsEntry *entries[] = {&a, &b, &again, &c};

    maps.texts = entries;
    maps.n_texts = 3;
    CHECK_TEXT(found_in_maps(&maps), "");
    maps.n_texts = 4;
    CHECK_TEXT(found_in_maps(&maps), "texts: map.max_pairs");
}

TEST(keys_and_values_of_an_entry_are_named_by_its_key)
{
    Features__Maps maps = good_maps();
    Features__Maps__TextsEntry entry = text_entry("\"", "long");
    Features__Maps__TextsEntry *entries[] = {&entry};

    maps.texts = entries;
    CHECK_TEXT(found_in_maps(&maps),
               "texts[\"\\\"\"]: string.min_len, texts[\"\\\"\"]: string.max_len");
}

TEST(keys_of_every_kind_show_in_the_path)
{
    Features__Maps maps = good_maps();
    Features__Leaf bad = leaf("");
    Features__Maps__LeavesEntry leaf_entry[2] = {FEATURES__MAPS__LEAVES_ENTRY__INIT,
                                                 FEATURES__MAPS__LEAVES_ENTRY__INIT};
    Features__Maps__LeavesEntry *leaves[] = {&leaf_entry[0], &leaf_entry[1]};
    Features__Maps__NumbersEntry number = FEATURES__MAPS__NUMBERS_ENTRY__INIT;
    Features__Maps__NumbersEntry *numbers[] = {&number};
    Features__Maps__ColoursEntry colour = FEATURES__MAPS__COLOURS_ENTRY__INIT;
    Features__Maps__ColoursEntry *colours[] = {&colour};

    leaf_entry[0].key = 7;
    leaf_entry[0].value = &bad;
    leaf_entry[1].key = INT64_MIN; /* without a value: the empty message, which is as bad */
    maps.leaves = leaves;
    maps.n_leaves = 2;
    number.key = UINT64_MAX;
    maps.numbers = numbers;
    maps.n_numbers = 1;
    colour.key = 1;
    colour.value = (Features__Colour)2;
    maps.colours = colours;
    maps.n_colours = 1;
    CHECK_TEXT(found_in_maps(&maps), "leaves[7].name: string.min_len, "
                                     "leaves[-9223372036854775808].name: string.min_len, "
                                     "numbers[18446744073709551615]: int32.gt, "
                                     "colours[true]: enum.defined_only");
}

TEST(a_message_that_looks_like_an_entry_hides_what_is_sensitive_in_it)
{
    Features__Maps maps = good_maps();
    Features__TokenEntry__ValueEntry entry = FEATURES__TOKEN_ENTRY__VALUE_ENTRY__INIT;
    Features__TokenEntry__ValueEntry *entries[] = {&entry};
    Features__TokenEntry token = FEATURES__TOKEN_ENTRY__INIT;
    Features__TokenEntry *tokens[] = {&token};
    struct mesh_violations *violations;

    entry.key = "4111";
    token.value = entries;
    token.n_value = 1;
    maps.tokens = tokens;
    maps.n_tokens = 1;
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    violations = mesh__violations_new(ctx);
    mesh__violations_hide(violations, &features__maps__descriptor, features_service_type.sensitive);
    features_methods[FEATURES_METHOD_CHECK_MAPS].validate(violations, &maps.base);
    CHECK(mesh__violations_fail(ctx, violations) == MESH_INVALID_ARGUMENT);
    CHECK_TEXT(ctx->scope->error->violations[0].field, "tokens[0].value[*]");
}

TEST(empty_values_of_a_map_are_ignored_where_it_says_so)
{
    Features__Maps maps = good_maps();
    Features__Leaf empty = leaf("");
    Features__Maps__EmptyOrGoodEntry entry = FEATURES__MAPS__EMPTY_OR_GOOD_ENTRY__INIT;
    Features__Maps__EmptyOrGoodEntry *entries[] = {&entry};

    maps.empty_or_good = entries;
    maps.n_empty_or_good = 1;
    CHECK_TEXT(found_in_maps(&maps), "");
    entry.value = &empty;
    CHECK_TEXT(found_in_maps(&maps), "");
}

TEST(values_of_an_ignored_map_are_not_walked)
{
    Features__Maps maps = good_maps();
    Features__Maps__FreeLeavesEntry entry = FEATURES__MAPS__FREE_LEAVES_ENTRY__INIT;
    Features__Maps__FreeLeavesEntry *entries[] = {&entry};

    maps.free_leaves = entries;
    maps.n_free_leaves = 1;
    CHECK_TEXT(found_in_maps(&maps), "");
}

/* ---- recursion --------------------------------------------------------------------------------
 */

TEST(recursive_messages_are_walked_to_the_end)
{
    Features__Tree root = FEATURES__TREE__INIT;
    Features__Tree child = FEATURES__TREE__INIT;
    Features__Tree grandchild = FEATURES__TREE__INIT;
    Features__Branch branch = FEATURES__BRANCH__INIT;
    Test__Imported__V1__Address address = TEST__IMPORTED__V1__ADDRESS__INIT;
    Features__Tree *children[] = {&child};

    root.name = "root";
    child.name = "child";
    root.children = children;
    root.n_children = 1;
    child.branch = &branch;
    branch.tree = &grandchild;
    grandchild.address = &address;
    CHECK_TEXT(found(FEATURES_METHOD_CHECK_TREE, &root),
               "children[0].branch.tree.name: string.min_len, "
               "children[0].branch.tree.address.street: string.min_len");
}

TEST(a_message_without_rules_has_no_validator)
{
    CHECK(features_methods[FEATURES_METHOD_ACCEPT].validate == NULL);
    CHECK(features_methods[FEATURES_METHOD_UPLOAD].validate != NULL);
}

TEST_MAIN(setup, teardown)
