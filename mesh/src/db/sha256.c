/* SPDX-License-Identifier: Apache-2.0 */
#include "db/sha256.h"

#include "core/fatal.h"

#include <openssl/evp.h>

void mesh__sha256(const void *bytes, size_t size, uint8_t ret_digest[SHA256_BYTES])
{
    unsigned int n = 0;

    if (EVP_Digest(bytes, size, ret_digest, &n, EVP_sha256(), NULL) != 1 || n != SHA256_BYTES) {
        mesh__fatal("OpenSSL cannot compute SHA-256");
    }
}

void mesh__sha256_hex(const void *bytes, size_t size, char ret_hex[SHA256_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_BYTES];

    mesh__sha256(bytes, size, digest);
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        *ret_hex++ = digits[digest[i] >> 4];
        *ret_hex++ = digits[digest[i] & 15];
    }
    *ret_hex = '\0';
}
