/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files and folders of files, without libFuzzer: replay PATH... */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

#define LARGEST (1 << 20)

static int n_inputs;

static void run_file(const char *path)
{
    static uint8_t bytes[LARGEST];
    FILE *in = fopen(path, "rb");
    uint8_t *exact;
    size_t size;

    MUST(in != NULL);
    size = fread(bytes, 1, sizeof(bytes), in);
    MUST(ferror(in) == 0 && fclose(in) == 0);
    exact = malloc(size > 0 ? size : 1); /* so that the sanitizer sees a read beyond it */
    MUST(exact != NULL);
    memcpy(exact, bytes, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    n_inputs++;
}

static void run_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    MUST(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        char file[4096];

        if (entry->d_name[0] != '.') {
            (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
            run_file(file);
        }
    }
    (void)closedir(folder);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat status;

        MUST(stat(argv[i], &status) == 0);
        if (S_ISDIR(status.st_mode)) {
            run_folder(argv[i]);
        } else {
            run_file(argv[i]);
        }
    }
    (void)printf("%d inputs\n", n_inputs);
    return n_inputs > 0 ? 0 : 1; /* a corpus that is not there proves nothing */
}
