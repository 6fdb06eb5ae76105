/* SPDX-License-Identifier: Apache-2.0 */
/* A wall between one replica and the broker. */
#ifndef TEST_EVENTS_WALL_H
#define TEST_EVENTS_WALL_H

#include <stdbool.h>
#include <stdint.h>

/* Until the end of the test; before the events are started. of_relay: only its relay is behind the
 * wall, the rest of the replica is connected all the time. */
void use_wall(const char *replica, bool of_relay);
/* Ends its connection, and refuses new ones. */
void shut_wall(void);
void open_wall(void);

/* How long replicas wait before they give up what they cannot do, until the end of the test. */
void set_patience(int64_t ms);

#endif
