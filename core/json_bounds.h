/* Bounds of a JSON text, checked before a parser spends memory on it. */
#ifndef SQ_CORE_JSON_BOUNDS_H
#define SQ_CORE_JSON_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the text nests at most 'depth_max' deep and holds at most 'values_max' values, counted by
 * brackets, commas and colons outside strings.  The parser decides whether the text is JSON. */
bool sq_json_bounded(const void *text, size_t len, unsigned depth_max, unsigned values_max);

#endif
