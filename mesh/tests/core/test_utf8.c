/* SPDX-License-Identifier: Apache-2.0 */
#include "core/utf8.h"
#include "test.h"

#include <stdbool.h>

static bool is_valid(const char *text)
{
    return mesh__utf8_valid(text, strlen(text)) == strlen(text);
}

TEST(text_of_all_lengths_is_valid)
{
    CHECK(is_valid(""));
    CHECK(is_valid("plain ASCII, longer than one machine word"));
    CHECK(is_valid("\xc2\x80\xdf\xbf"));                     /* U+0080, U+07FF */
    CHECK(is_valid("\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf")); /* U+0800, U+D7FF, U+FFFF */
    CHECK(is_valid("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));     /* U+10000, U+10FFFF */
    CHECK(is_valid("한국어 텍스트와 그림 🙂"));
}

TEST(what_rfc_3629_forbids_is_not)
{
    CHECK(!is_valid("\x80"));             /* continues nothing */
    CHECK(!is_valid("\xc0\x80"));         /* overlong NUL */
    CHECK(!is_valid("\xc1\xbf"));         /* overlong */
    CHECK(!is_valid("\xe0\x9f\xbf"));     /* overlong */
    CHECK(!is_valid("\xf0\x8f\xbf\xbf")); /* overlong */
    CHECK(!is_valid("\xed\xa0\x80"));     /* surrogate */
    CHECK(!is_valid("\xf4\x90\x80\x80")); /* beyond U+10FFFF */
    CHECK(!is_valid("\xf5\x80\x80\x80"));
    CHECK(!is_valid("\xff"));
    CHECK(!is_valid("\xe2\x82"));     /* cut off */
    CHECK(!is_valid("\xe2\x28\xa1")); /* second byte */
    CHECK(!is_valid("\xe2\x82\x28")); /* third byte */
}

TEST(every_pair_of_bytes_is_judged_as_iconv_would)
{
    for (unsigned first = 0x80; first <= 0xff; first++) {
        for (unsigned second = 0; second <= 0xff; second++) {
            char text[2] = {(char)first, (char)second};
            bool valid = first >= 0xc2 && first <= 0xdf && second >= 0x80 && second <= 0xbf;

            CHECK_INT(mesh__utf8_step(text, 2), valid ? 2 : 0);
        }
    }
}

TEST(the_valid_beginning_is_measured)
{
    CHECK_INT(mesh__utf8_valid("12345678901\xff", 12), 11);
    CHECK_INT(mesh__utf8_valid("ab\xe2\x82\xac\xe2", 6), 5);
    CHECK_INT(mesh__utf8_valid("a\0b", 3), 3);
}

TEST(a_cut_leaves_characters_whole)
{
    CHECK_INT(mesh__utf8_cut("abc", 5), 3);
    CHECK_INT(mesh__utf8_cut("abc", 3), 3);
    CHECK_INT(mesh__utf8_cut("abc", 2), 2);
    CHECK_INT(mesh__utf8_cut("a\xe2\x82\xac", 4), 4);
    CHECK_INT(mesh__utf8_cut("a\xe2\x82\xac", 3), 1);
    CHECK_INT(mesh__utf8_cut("a\xe2\x82\xac", 2), 1);
    CHECK_INT(mesh__utf8_cut("a\xe2\x82\xac", 0), 0);
    CHECK_INT(mesh__utf8_cut("\x80\x80\x80\x80\x80\x80\x80", 5), 5);
}

TEST_MAIN(NULL, NULL)
