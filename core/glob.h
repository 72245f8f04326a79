/* Patterns of names, as in a shell. */
#ifndef SQ_CORE_GLOB_H
#define SQ_CORE_GLOB_H

#include <stdbool.h>

/* Whether 'glob' matches the whole of 'text': '*' stands for any number of characters, '?' for one
 * character, any other character for itself; nothing escapes.  Both are UTF-8.  The time is at
 * most in the product of the lengths. */
bool sq_glob_match(const char *glob, const char *text);

#endif
