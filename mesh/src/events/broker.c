/* SPDX-License-Identifier: Apache-2.0 */
#include "events/broker.h"

#include "core/fatal.h"

#include <string.h>

static const char *put(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);

    *at += size;
    return copy;
}

struct broker_message *mesh__broker_message_new(const struct broker_message *from)
{
    struct broker_message *message =
        mesh__calloc(1, sizeof(*message) + from->size + strlen(from->subject) + strlen(from->id) +
                            strlen(from->consumer) + 3);
    char *at = (char *)(message + 1);

    *message = *from;
    message->next = NULL;
    message->data = (const uint8_t *)at;
    if (from->size > 0) {
        memcpy(at, from->data, from->size);
    }
    at += from->size;
    message->subject = put(&at, from->subject);
    message->id = put(&at, from->id);
    message->consumer = put(&at, from->consumer);
    return message;
}

enum broker_pull_state mesh__pull_state(const char *status, const char *description)
{
    if (strcmp(status, "100") == 0) {
        return BROKER_PULL_ALIVE;
    }
    if (strcmp(status, "404") == 0 || strcmp(status, "408") == 0 ||
        strcmp(description, "Message Size Exceeds MaxBytes") == 0 ||
        strcmp(description, "Batch Completed") == 0) {
        return BROKER_PULL_ENDED;
    }
    return BROKER_PULL_REFUSED;
}

int mesh__broker_split(char *list, const char **ret_elements, int max)
{
    const char *element;
    int n = 0;

    while (n < max && (element = strsep(&list, ", ")) != NULL) {
        if (element[0] != '\0') {
            ret_elements[n++] = element;
        }
    }
    return n;
}
