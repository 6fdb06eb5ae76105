/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/watch.h"

#include "core/fatal.h"
#include "mesh/log.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#define LOOK_MS 2000 /* how often to look where the system does not tell */
/* IN_MOVED_TO is also what the kubelet does: it renames a link over `..data`. */
#define CHANGES (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE)
#define LOSSES (IN_MOVE_SELF | IN_DELETE_SELF)

struct mesh__watch {
    char *folder;
    int inotify; /* -1: the system has no more of them */
    int stop;
    bool watches; /* the folder; otherwise it is looked for from time to time */
};

/* A folder that was replaced is another one: its new self has to be watched. */
static void watch_folder(struct mesh__watch *watch)
{
    watch->watches = watch->inotify >= 0 && inotify_add_watch(watch->inotify, watch->folder,
                                                              CHANGES | LOSSES | IN_ONLYDIR) >= 0;
}

struct mesh__watch *mesh__watch_new(const char *file)
{
    struct mesh__watch *watch = mesh__calloc(1, sizeof(*watch));
    char *copy = mesh__strdup(file);

    watch->folder = mesh__strdup(dirname(copy));
    free(copy);
    watch->stop = eventfd(0, EFD_CLOEXEC);
    if (watch->stop < 0) {
        mesh__fatal("no descriptor for stopping to watch %s: %s", watch->folder, strerror(errno));
    }
    watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    watch_folder(watch);
    if (!watch->watches) {
        mesh_log(MESH_LOG_WARN, MESH_LOG_FIELDS(mesh_log_text("folder", watch->folder)),
                 "the folder cannot be watched, so it is looked at every %d ms: %s", LOOK_MS,
                 strerror(errno));
    }
    return watch;
}

void mesh__watch_free(struct mesh__watch *watch)
{
    if (watch != NULL) {
        if (watch->inotify >= 0) {
            (void)close(watch->inotify);
        }
        (void)close(watch->stop);
        free(watch->folder);
        free(watch);
    }
}

/* Takes all events; whether the folder is no longer the one at its place. */
static bool take_events(struct mesh__watch *watch)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool lost = false;
    ssize_t n;

    while (watch->inotify >= 0 && (n = read(watch->inotify, events, sizeof(events))) > 0) {
        for (char *at = events; at < events + n;) {
            const struct inotify_event *event = (const void *)at;

            lost = lost || (event->mask & (LOSSES | IN_IGNORED)) != 0;
            at += sizeof(*event) + event->len;
        }
    }
    return lost;
}

static void settle_events(struct mesh__watch *watch)
{
    if (take_events(watch) || !watch->watches) {
        watch_folder(watch);
    }
}

bool mesh__watch_wait(struct mesh__watch *watch)
{
    struct pollfd fds[] = {{.fd = watch->stop, .events = POLLIN},
                           {.fd = watch->inotify, .events = POLLIN}};
    int n;

    do {
        n = poll(fds, 2, watch->watches ? -1 : LOOK_MS);
    } while (n < 0 && errno == EINTR);
    return fds[0].revents == 0;
}

bool mesh__watch_settle(struct mesh__watch *watch, int ms)
{
    struct pollfd fd = {.fd = watch->stop, .events = POLLIN};
    int n;

    do {
        n = poll(&fd, 1, ms);
    } while (n < 0 && errno == EINTR);
    settle_events(watch);
    return fd.revents == 0;
}

void mesh__watch_stop(struct mesh__watch *watch)
{
    (void)eventfd_write(watch->stop, 1);
}
