/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where log lines go: to standard error at once, or through a bounded buffer and a thread of its
 * own, so that nobody who logs waits for whoever reads it.
 */
#ifndef MESH_CORE_LOG_WRITER_H
#define MESH_CORE_LOG_WRITER_H

#include <stddef.h>
#include <stdint.h>

/*
 * From now on lines are written by a thread. Those beyond the buffer are dropped, counted by
 * mesh_log_dropped_lines_total and told of in one line once there is room. A crash waits until the
 * lines before it are out. A child of fork() writes at once again.
 */
void mesh__log_start(void);
/* Writes what is left and ends the thread, unless nobody reads: then it gives up after a second. */
void mesh__log_stop(void);
/* Waits until what was logged so far is written, at most patience_ms. For signal handlers, too. */
void mesh__log_flush(int patience_ms);

/* One line with its newline. */
void mesh__log_put(const char *line, size_t size);

#endif
