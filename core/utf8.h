/* UTF-8 as MQTT wants it (5.0 and 3.1.1, §1.5.4 and §1.5.3). */
#ifndef SQ_CORE_UTF8_H
#define SQ_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether 'len' bytes are well-formed UTF-8 without U+0000: no overlong forms,
 * no surrogates, nothing above U+10FFFF, no character cut off at the end.
 * Control and non-characters pass; the standard only advises against them.
 * Empty is valid; 'p' may then be NULL. */
bool sq_utf8_valid(const void *p, size_t len);
/* Whether valid UTF-8 is without what MQTT 5.0 §1.5.4 advises against: the control characters
 * U+0001 to U+001F and U+007F to U+009F, and Unicode's non-characters. */
bool sq_utf8_plain(const void *p, size_t len);
/* Bytes of the character that 'len' bytes begin with; 0: they begin with none, or with
 * U+0000. */
size_t sq_utf8_first(const void *p, size_t len);
/* How many bytes of a valid text of 'len' are its first characters that fit into 'max'. */
size_t sq_utf8_cut(const void *p, size_t len, size_t max);

#endif
