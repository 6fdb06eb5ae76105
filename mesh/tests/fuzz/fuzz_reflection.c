/* SPDX-License-Identifier: Apache-2.0 */
/* What reflection is asked for: names of files, symbols and extensions, of which the first byte is
 * the number. */
#include "fuzz.h"
#include "rpc/descriptor_index.h"

#include <generator/features.mesh.h>

static struct descriptor_index *make_index(void)
{
    struct descriptor_index *index = mesh__descriptors_new();

    mesh__descriptors_add(index, features_service_type.files, features_service_type.files_size);
    mesh__descriptors_sort(index);
    return index;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct descriptor_index *index;
    int32_t numbers[4];
    int32_t number = size > 0 ? 50900 + data[0] : 0;
    char *text = size > 0 ? fuzz_text(data + 1, size - 1) : fuzz_text(data, 0);
    size_t found[3];

    if (index == NULL) {
        index = make_index();
    }
    found[0] = mesh__descriptors_by_name(index, text);
    found[1] = mesh__descriptors_by_symbol(index, text);
    found[2] = mesh__descriptors_by_extension(index, text, number);
    for (size_t i = 0; i < 3; i++) {
        MUST(found[i] == DESCRIPTOR_NONE || found[i] < mesh__descriptors_count(index));
    }
    MUST(found[0] == DESCRIPTOR_NONE ||
         strcmp(mesh__descriptors_file(index, found[0])->name, text) == 0);
    (void)mesh__descriptors_extensions(index, text, 4, numbers);
    free(text);
    return 0;
}
