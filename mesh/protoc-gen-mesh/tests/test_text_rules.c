/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <sys/resource.h>

static Features__Text good_text(void)
{
    Features__Text text = FEATURES__TEXT__INIT;
    static uint8_t four[4];

    text.uuid = "0190b5a6-0000-7000-8000-00000000abCD";
    text.three = "abc";
    text.short_ = "a";
    text.few_bytes = "a";
    text.pattern = "abc-12";
    text.parts = "50% \"mid\\end";
    text.listed = "b";
    text.unlisted = "z";
    text.fixed = "fixed?"
                 "?/";
    text.needed = "x";
    text.code = "ab1";
    text.four = (ProtobufCBinaryData){4, four};
    text.some = (ProtobufCBinaryData){1, four};
    return text;
}

static const char *found_in(const Features__Text *text)
{
    return found(FEATURES_METHOD_CHECK_TEXT, text);
}

TEST(text_that_keeps_all_rules_is_fine)
{
    Features__Text text = good_text();

    CHECK_TEXT(found_in(&text), "");
}

TEST(an_empty_message_breaks_every_rule_about_fields_without_presence)
{
    Features__Text text = FEATURES__TEXT__INIT;

    CHECK_TEXT(found_in(&text),
               "uuid: string.uuid_empty, three: string.len, short: string.min_len, "
               "few_bytes: string.min_bytes, pattern: string.pattern, parts: string.prefix, "
               "parts: string.suffix, parts: string.contains, listed: string.in, "
               "fixed: string.const, needed: required, code: string.pattern, four: bytes.len, "
               "some: bytes.min_len");
}

TEST(a_uuid_has_its_form)
{
    Features__Text text = good_text();

    text.uuid = "0190b5a6-0000-7000-8000-00000000abCg";
    CHECK_TEXT(found_in(&text), "uuid: string.uuid");
}

TEST(zero_is_ignored_where_it_says_so_and_other_values_are_not)
{
    Features__Text text = good_text();

    text.uuid_or_empty = "";
    CHECK_TEXT(found_in(&text), "");
    text.uuid_or_empty = "x";
    CHECK_TEXT(found_in(&text), "uuid_or_empty: string.uuid");
}

TEST(lengths_count_characters_and_bytes_are_bytes)
{
    Features__Text text = good_text();

    text.three = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
    CHECK_TEXT(found_in(&text), "");
    text.short_ = "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4";
    CHECK_TEXT(found_in(&text), "");
    text.short_ = "abcde";
    CHECK_TEXT(found_in(&text), "short: string.max_len");
    text = good_text();
    text.few_bytes = "\xc3\xa4\xc3\xa4";
    CHECK_TEXT(found_in(&text), "");
    text.few_bytes = "\xc3\xa4\xc3\xa4"
                     "a";
    CHECK_TEXT(found_in(&text), "few_bytes: string.max_bytes");
}

TEST(patterns_match_as_written)
{
    Features__Text text = good_text();

    text.pattern = "ab";
    CHECK_TEXT(found_in(&text), "");
    text.pattern = "ab-";
    CHECK_TEXT(found_in(&text), "pattern: string.pattern");
    text.pattern = "ab\n";
    CHECK_TEXT(found_in(&text), "pattern: string.pattern");
}

TEST(a_text_that_is_too_long_is_not_matched)
{
    enum { LONG = 4 << 20 };
    Features__Text text = good_text();
    static char letters[LONG + 1];

    memset(letters, 'a', LONG); /* tried from every place, this would take hours */
    text.code = letters;
    CHECK_TEXT(found_in(&text), "code: string.max_len");
    text.code = "aaa";
    CHECK_TEXT(found_in(&text), "code: string.pattern");
}

static long most_memory_kb(void)
{
    struct rusage usage;

    CHECK_INT(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

TEST(a_pattern_takes_no_memory_whatever_the_text)
{
    enum { LONG = 100000 };
    Features__Patterns patterns = FEATURES__PATTERNS__INIT;
    static char slug[LONG + 1];
    uint32_t random = 1;
    long before;

    memset(slug, 'a', LONG);
    patterns.slug = slug;
    CHECK_TEXT(found(FEATURES_METHOD_CHECK_PATTERNS, &patterns), "");
    before = most_memory_kb();
    for (int i = 0; i < 20; i++) { /* every window of 20 characters is another one */
        for (size_t k = 0; k < LONG; k++) {
            random = random * 1664525 + 1013904223;
            slug[k] = "ab12-"[(random >> 16) % 5];
        }
        memset(slug + LONG - 21, '1', 21); /* where the letter has to be, there is none */
        CHECK_TEXT(found(FEATURES_METHOD_CHECK_PATTERNS, &patterns), "slug: string.pattern");
    }
    CHECK(most_memory_kb() - before < 4096);
}

/* One field of Patterns and what to expect of it; the answers are RE2's. */
struct sample {
    size_t field;
    const char *matching[6];
    const char *others[6];
};

#define FIELD(name) offsetof(Features__Patterns, name)

static const struct sample samples[] = {
    {FIELD(korean), {"홍길동", "가힣"}, {"홍", "äö", "가나다라마", "가a"}},
    {FIELD(nested), {"a", "abcdefgh"}, {"A", "abc1"}},
    {FIELD(anywhere), {"bb", "abba", "é", "caféx"}, {"b", "bab", "e", "ë"}},
    {FIELD(not_these), {"d", "ë", "\n", "😀"}, {"a", "é", "dd"}},
    {FIELD(any), {"x", "한", "\t", "😀"}, {"\n", "xx", "x\n"}},
    {FIELD(classes), {"1 _x1-", "0\fzé가 "}, {"1\v_x1-", "a _x1-", "1 _11-"}},
    {FIELD(named), {"a", "-", "Z\v", "q "}, {"1", "é", "a-"}},
    {FIELD(odd), {"]]]}", "^]]}", "-]]}"}, {"a]]}", "]]}"}},
    {FIELD(counts), {"aac", "aabbcccd", "aabcef"}, {"ac", "aabbbc", "aab", "aacde"}},
    {FIELD(inside), {"ab"}, {"b", "c", "ac", "a"}},
};

static const char *found_with(size_t field, const char *text)
{
    Features__Patterns patterns = FEATURES__PATTERNS__INIT;

    *(const char **)(void *)((char *)&patterns + field) = text;
    return found(FEATURES_METHOD_CHECK_PATTERNS, &patterns);
}

TEST(patterns_are_about_characters_and_mean_what_they_mean_to_re2)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        for (size_t k = 0; k < 6 && samples[i].matching[k] != NULL; k++) {
            CHECK_TEXT(found_with(samples[i].field, samples[i].matching[k]), "");
        }
        for (size_t k = 0; k < 6 && samples[i].others[k] != NULL; k++) {
            CHECK(strstr(found_with(samples[i].field, samples[i].others[k]), "string.pattern") !=
                  NULL);
        }
    }
}

TEST(prefix_suffix_and_middle_are_told_apart)
{
    Features__Text text = good_text();

    text.parts = "50% \"mid\\en";
    CHECK_TEXT(found_in(&text), "parts: string.suffix");
    text.parts = "50 \"mid\\end";
    CHECK_TEXT(found_in(&text), "parts: string.prefix");
    text.parts = "50% \"mi\\end";
    CHECK_TEXT(found_in(&text), "parts: string.contains");
}

TEST(texts_of_rules_come_through_unharmed)
{
    Features__Text text = good_text();

    text.parts = "mid\\end";
    CHECK_TEXT(found_in(&text), "parts: string.prefix");
    CHECK_TEXT(ctx->scope->error->violations[0].text, "must start with \"50% \"\"");
}

TEST(lists_allow_and_forbid)
{
    Features__Text text = good_text();

    text.listed = "c";
    text.unlisted = "y";
    CHECK_TEXT(found_in(&text), "listed: string.in, unlisted: string.not_in");
}

TEST(bytes_have_lengths)
{
    Features__Text text = good_text();
    uint8_t bytes[5] = {0};

    text.four = (ProtobufCBinaryData){5, bytes};
    text.some = (ProtobufCBinaryData){4, bytes};
    CHECK_TEXT(found_in(&text), "four: bytes.len, some: bytes.max_len");
}

TEST(a_text_that_was_never_set_reads_as_empty)
{
    Features__Text text = good_text();

    text.listed = NULL;
    CHECK_TEXT(found_in(&text), "listed: string.in");
}

TEST(ignored_fields_are_not_looked_at)
{
    Features__Text text = good_text();

    text.free = "abc";
    CHECK_TEXT(found_in(&text), "");
}

TEST_MAIN(setup, teardown)
