/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that stand for objects in callbacks of a library that may call late. */
#ifndef MESH_EVENTS_BROKER_HANDLE_H
#define MESH_EVENTS_BROKER_HANDLE_H

#include <stdint.h>

/* The first member of an object that has a number. */
struct broker_handle {
    struct broker_handle *next;
    uintptr_t number;
    int users; /* callbacks that are running */
};

/*
 * The library may still call back while a connection is destroyed. So its callbacks carry a number
 * instead of an address, and a number that is not known is an object that is gone.
 */
void mesh__handle_add(struct broker_handle *handle);
/* Waits for callbacks that are running; none enters after this. */
void mesh__handle_remove(struct broker_handle *handle);
/* NULL if it is gone; else mesh__handle_leave() follows. */
struct broker_handle *mesh__handle_enter(uintptr_t number);
void mesh__handle_leave(struct broker_handle *handle);

#endif
