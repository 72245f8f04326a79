/* UTF-8 by the rules of MQTT (5.0 §1.5.4, 3.1.1 §1.5.3).  Thread: any. */
#ifndef SQ_CORE_UTF8_H
#define SQ_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

/* Whether 'len' bytes are well-formed UTF-8 without U+0000: no overlong forms,
 * no surrogates, nothing above U+10FFFF, no character cut off at the end.
 * Control and non-characters pass; the standard only advises against them.
 * Empty is valid; 'p' may then be NULL. */
bool sq_utf8_valid(const void *p, size_t len);
/* Whether valid UTF-8 has none of the characters that MQTT 5.0 §1.5.4 advises against: controls
 * (U+0001 to U+001F, U+007F to U+009F) and Unicode's non-characters. */
bool sq_utf8_plain(const void *p, size_t len);
/* Bytes of the first character of 'len' bytes; 0: there is no valid one, or it is U+0000. */
size_t sq_utf8_first(const void *p, size_t len);
/* Bytes of the longest start of a valid text of 'len' bytes that has whole characters and at most
 * 'max' bytes. */
size_t sq_utf8_cut(const void *p, size_t len, size_t max);
/* Writes a character, U+10FFFF at most, to 'out'; returns its bytes. */
size_t sq_utf8_write(uint32_t c, unsigned char out[4]);
/* Appends the text with U+FFFD in place of each byte that is U+0000, or of no valid character. */
void sq_utf8_mend(struct sq_buf *out, const void *p, size_t len);

#endif
