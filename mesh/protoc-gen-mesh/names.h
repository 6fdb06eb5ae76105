/* SPDX-License-Identifier: Apache-2.0 */
/* Names in C: those that protobuf-c gives, and our own. */
#ifndef MESH_GEN_NAMES_H
#define MESH_GEN_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* What protobuf-c makes of a full name (without the leading dot): "Order__PlaceOrderRequest". */
char *name_c_type(const char *full_name);
/* "order__place_order_request". */
char *name_c_lower(const char *full_name);
/* "ORDER__PLACE_ORDER_REQUEST". */
char *name_c_upper(const char *full_name);
/* The struct member of a field: lower case, with "_" after what protobuf-c knows as a keyword. */
char *name_c_field(const char *name);

/* Our own names: PlaceOrder -> place_order, HTTPGet -> http_get. */
char *name_snake(const char *camel);
/* PLACE_ORDER of place_order. */
char *name_upper(const char *snake);
/* Every character that cannot stand in an identifier becomes "_". */
char *name_identifier(const char *text);

/* True if the name cannot be an identifier in GNU C17 with <stdbool.h> and the other headers. */
bool name_is_reserved(const char *name);

/* Why no function or variable can have the name: the word with which all names of the runtime or of
 * a library below it begin ("mesh"), or NULL. */
const char *name_library(const char *name);
/* Why no function or variable can have the name: it is C's, in words; NULL if it is not. */
const char *name_of_c(const char *name);

bool name_has_suffix(const char *name, const char *suffix);

#endif
