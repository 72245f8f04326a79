/* Text of others on a terminal: client ids, filters and details may have control characters, which
 * would move its cursor, colour it or worse, or marks that turn the order of what follows. */
#ifndef SQ_CLI_VIEW_SAFE_H
#define SQ_CLI_VIEW_SAFE_H

#include <stddef.h>

#include "core/buf.h"

/* Appends the text with controls (C0, DEL, C1), marks of direction, invisible ones and what is no
 * UTF-8 as \uXXXX or \xXX.  JSON whose strings have them stays the same document. */
void sq_safe(struct sq_buf *out, const char *text, size_t len);
/* Appends "bad WHAT 'TEXT': WHY", with the text made safe. */
void sq_safe_bad(struct sq_buf *out, const char *what, const char *text, const char *why);
/* Columns of safe text on a terminal. */
size_t sq_safe_width(const char *text, size_t len);
/* Bytes of its longest beginning of at most that many columns. */
size_t sq_safe_cut(const char *text, size_t len, size_t columns);

#endif
