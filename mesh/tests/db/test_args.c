/* SPDX-License-Identifier: Apache-2.0 */
#include "db/args.h"
#include "db/uuid.h"
#include "test.h"

static struct db_args encoded;

static const struct pg_params *encode(struct mesh_args args)
{
    const char *problem;

    CHECK_INT(mesh__args_encode(&encoded, args, &problem), MESH_OK);
    CHECK_INT(encoded.params.n, args.n);
    return &encoded.params;
}

static const char *problem_of(struct mesh_args args)
{
    const char *problem = NULL;

    CHECK_INT(mesh__args_encode(&encoded, args, &problem), MESH_INTERNAL);
    return problem;
}

static bool is_binary(const struct pg_params *params, int i, uint32_t type, const char *bytes,
                      size_t size)
{
    return params->types[i] == type && params->formats[i] == 1 && params->sizes[i] == (int)size &&
           memcmp(params->values[i], bytes, size) == 0;
}

TEST(numbers_are_big_endian)
{
    const struct pg_params *params = encode(
        MESH_ARGS(mesh_int64(-2), mesh_bool(true), mesh_bool(false), mesh_time(PG_EPOCH_US + 258)));

    CHECK(is_binary(params, 0, 20, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8));
    CHECK(is_binary(params, 1, 16, "\x01", 1));
    CHECK(is_binary(params, 2, 16, "\x00", 1));
    CHECK(is_binary(params, 3, 1184, "\0\0\0\0\0\0\x01\x02", 8));
}

TEST(text_is_left_for_the_server_to_read)
{
    const struct pg_params *params = encode(MESH_ARGS(mesh_text("text"), mesh_null()));

    CHECK_INT(params->types[0], 0);
    CHECK_INT(params->formats[0], 0);
    CHECK_TEXT(params->values[0], "text");
    CHECK(params->values[1] == NULL);
    CHECK_INT(params->types[1], 0);
}

TEST(what_a_value_was_made_from_may_change_afterwards)
{
    char text[] = "text", bytes[] = "bytes";
    const struct pg_params *params =
        encode(MESH_ARGS(mesh_text(text), mesh_bytes(bytes, 5), mesh_bytes(NULL, 0)));

    memset(text, 'x', 4);
    memset(bytes, 'x', 5);
    CHECK_TEXT(params->values[0], "text");
    CHECK(is_binary(params, 1, 17, "bytes", 5));
    CHECK(is_binary(params, 2, 17, "", 0) && params->values[2] != NULL);
}

TEST(a_typed_null_keeps_its_type)
{
    const struct pg_params *params = encode(MESH_ARGS(mesh_uuid(NULL), mesh_text(NULL)));

    CHECK(params->values[0] == NULL && params->values[1] == NULL);
    CHECK_INT(params->types[0], 2950);
}

TEST(arrays_follow_the_binary_format)
{
    const char *uuids[] = {"00010203-0405-0607-0809-0a0b0c0d0e0f"};
    const int64_t numbers[] = {1, 2};
    const struct pg_params *params = encode(MESH_ARGS(
        mesh_uuid_array(uuids, 1), mesh_int64_array(numbers, 2), mesh_int64_array(NULL, 0)));

    CHECK(is_binary(params, 0, 2951,
                    "\0\0\0\1\0\0\0\0\0\0\x0b\x86\0\0\0\1\0\0\0\1\0\0\0\x10"
                    "\0\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
                    40));
    CHECK(is_binary(params, 1, 1016,
                    "\0\0\0\1\0\0\0\0\0\0\0\x14\0\0\0\2\0\0\0\1"
                    "\0\0\0\x08\0\0\0\0\0\0\0\1\0\0\0\x08\0\0\0\0\0\0\0\2",
                    44));
    CHECK(is_binary(params, 2, 1016, "\0\0\0\0\0\0\0\0\0\0\0\x14", 12));
}

TEST(texts_follow_the_binary_format_of_arrays)
{
    const char *texts[] = {"ab", "", "{,}"};
    const struct pg_params *params =
        encode(MESH_ARGS(mesh_text_array(texts, 3), mesh_text_array(NULL, 0)));

    CHECK(is_binary(params, 0, 1009,
                    "\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\3\0\0\0\1"
                    "\0\0\0\2"
                    "ab\0\0\0\0\0\0\0\3{,}",
                    37));
    CHECK(is_binary(params, 1, 1009, "\0\0\0\0\0\0\0\0\0\0\0\x19", 12));
}

TEST(what_is_no_uuid_is_refused)
{
    static const char *const wrong[] = {"",
                                        "0",
                                        "00010203-0405-0607-0809-0a0b0c0d0e0",
                                        "00010203-0405-0607-0809-0a0b0c0d0e0f0",
                                        "00010203_0405-0607-0809-0a0b0c0d0e0f",
                                        "0001020304050607-0809-0a0b0c0d0e0f",
                                        "00010203-0405-0607-0809-0a0b0c0d0e0g"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK(strstr(problem_of(MESH_ARGS(mesh_int64(1), mesh_uuid(wrong[i]))), "UUID") != NULL);
        CHECK(strstr(problem_of(MESH_ARGS(mesh_uuid_array(&wrong[i], 1))), "UUID") != NULL);
    }
    CHECK(strstr(problem_of(MESH_ARGS(mesh_uuid_array((const char *const[]){NULL}, 1))), "UUID") !=
          NULL);
}

TEST(what_no_statement_should_carry_is_refused)
{
    static struct mesh_arg many[65536];

    CHECK(problem_of((struct mesh_args){many, 65536}) != NULL);
    CHECK(problem_of(MESH_ARGS(mesh_int64_array(NULL, SIZE_MAX))) != NULL);
    CHECK(problem_of(MESH_ARGS(mesh_bytes("", SIZE_MAX))) != NULL);
}

TEST(memory_is_used_again_and_grows)
{
    static int64_t numbers[5000];

    for (size_t n = 0; n <= 5000; n += 500) {
        const struct pg_params *params =
            encode(MESH_ARGS(mesh_int64(7), mesh_int64_array(numbers, n)));

        CHECK(is_binary(params, 0, 20, "\0\0\0\0\0\0\0\7", 8));
        CHECK_INT(params->sizes[1], n > 0 ? 20 + 12 * n : 12);
    }
}

TEST(a_name_has_the_uuid_that_it_has_everywhere)
{
    uint8_t dns[UUID_BYTES]; /* RFC 9562, appendix A.4 */
    char uuid[UUID_CHARS + 1];

    CHECK(mesh__uuid_parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8", dns));
    mesh__uuid_v5(dns, "www.example.com", uuid);
    CHECK_TEXT(uuid, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

TEST(a_uuid_is_written_as_it_was_read)
{
    uint8_t bytes[UUID_BYTES];
    char text[UUID_CHARS + 1];

    CHECK(mesh__uuid_parse("0190A6E0-7b1c-7c3d-8e4f-0123456789aB", bytes));
    mesh__uuid_format(bytes, text);
    CHECK_TEXT(text, "0190a6e0-7b1c-7c3d-8e4f-0123456789ab");
}

static int tear_down(void **state)
{
    (void)state;
    mesh__args_done(&encoded);
    return 0;
}

TEST_MAIN(NULL, tear_down)
