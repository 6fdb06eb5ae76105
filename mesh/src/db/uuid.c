/* SPDX-License-Identifier: Apache-2.0 */
#include "db/uuid.h"

#include "core/fatal.h"

#include <openssl/evp.h>
#include <string.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool has_dash_before(int byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

bool mesh__uuid_parse(const char *text, uint8_t ret_bytes[UUID_BYTES])
{
    if (text == NULL) {
        return false;
    }
    for (int i = 0; i < UUID_BYTES; i++) {
        int high;
        int low;

        if (has_dash_before(i) && *text++ != '-') {
            return false;
        }
        high = digit(text[0]);
        low = high >= 0 ? digit(text[1]) : -1; /* never looks behind the end */
        if (low < 0) {
            return false;
        }
        ret_bytes[i] = (uint8_t)(high * 16 + low);
        text += 2;
    }
    return *text == '\0';
}

void mesh__uuid_format(const uint8_t bytes[UUID_BYTES], char ret_text[UUID_CHARS + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < UUID_BYTES; i++) {
        if (has_dash_before(i)) {
            *ret_text++ = '-';
        }
        *ret_text++ = digits[bytes[i] >> 4];
        *ret_text++ = digits[bytes[i] & 15];
    }
    *ret_text = '\0';
}

void mesh__uuid_v5(const uint8_t space[UUID_BYTES], const char *name, char ret_text[UUID_CHARS + 1])
{
    EVP_MD_CTX *sha1 = EVP_MD_CTX_new();
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (sha1 == NULL || EVP_DigestInit_ex(sha1, EVP_sha1(), NULL) != 1 ||
        EVP_DigestUpdate(sha1, space, UUID_BYTES) != 1 ||
        EVP_DigestUpdate(sha1, name, strlen(name)) != 1 ||
        EVP_DigestFinal_ex(sha1, digest, NULL) != 1) {
        mesh__fatal("OpenSSL cannot compute SHA-1");
    }
    EVP_MD_CTX_free(sha1);
    digest[6] = (uint8_t)(0x50 | (digest[6] & 0x0f)); /* version 5 */
    digest[8] = (uint8_t)(0x80 | (digest[8] & 0x3f)); /* variant */
    mesh__uuid_format(digest, ret_text);
}
