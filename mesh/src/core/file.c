/* SPDX-License-Identifier: Apache-2.0 */
#include "core/file.h"

#include "mesh/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* NULL: reading it does not wait. */
static const char *unreadable(int fd)
{
    struct stat about;

    if (fd < 0 || fstat(fd, &about) != 0) {
        return strerror(errno);
    }
    if (S_ISDIR(about.st_mode)) {
        return strerror(EISDIR);
    }
    return S_ISREG(about.st_mode) ? NULL : "not a regular file";
}

bool mesh__file_read(const char *path, size_t max, struct mesh__text *ret_text, char *why,
                     size_t why_size)
{
    /* O_NONBLOCK: opening a pipe would wait for who writes into it. */
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    const char *flaw = unreadable(fd);
    size_t before = ret_text->size;
    char piece[4096];
    ssize_t n;

    if (flaw != NULL) {
        (void)snprintf(why, why_size, "%s", flaw);
        return false;
    }
    while ((n = read(fd, piece, sizeof(piece))) > 0) {
        if ((size_t)n > max - (ret_text->size - before)) {
            (void)snprintf(why, why_size, "it is larger than %zu KiB", max / 1024);
            return false;
        }
        mesh__text_add(ret_text, piece, (size_t)n);
    }
    if (n < 0) {
        (void)snprintf(why, why_size, "%s", strerror(errno));
        return false;
    }
    mesh__text_add(ret_text, "", 0); /* so that an empty file is a text, too */
    return true;
}
