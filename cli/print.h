/* What the command line writes. */
#ifndef SQ_CLI_PRINT_H
#define SQ_CLI_PRINT_H

#include <stdbool.h>

#include "core/buf.h"

/* Says on stderr what is wrong with the options, and returns false. */
bool sq_say_usage(const char *what, const char *detail);
/* The same of a text, which it frees. */
bool sq_say_usage_of(struct sq_buf *what);
/* Writes the text to standard output, and the lines of 'err' to stderr; frees both.  Returns 'code',
 * or 'failed' where the output can't be written. */
int sq_print(struct sq_buf *out, struct sq_buf *err, int code, int failed);

#endif
