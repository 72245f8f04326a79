/* Names by pattern, as a shell's. */
#ifndef SQ_CORE_GLOB_H
#define SQ_CORE_GLOB_H

#include <stdbool.h>

/* Whether all of 'text' is what 'glob' describes: '*' is any number of
 * characters, none too, '?' is one character, and anything else is itself.
 * Nothing escapes.  Both are UTF-8.  Takes time in the product of the lengths at
 * most. */
bool sq_glob_match(const char *glob, const char *text);

#endif
