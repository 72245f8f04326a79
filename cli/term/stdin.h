/* Messages of standard input: all of it, or one line after the other. */
#ifndef SQ_CLI_TERM_STDIN_H
#define SQ_CLI_TERM_STDIN_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

enum { SQ_STDIN_MESSAGE_MAX = 16 << 20 }; /* bytes */

/* Appends all of standard input.  SQ_EIO, SQ_ETOOBIG: 'err' has a line. */
int sq_stdin_whole(struct sq_buf *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Sets 'line' to the next line, without its end; '*end': there is none.  Errors as above. */
int sq_stdin_line(struct sq_buf *line, bool *end, struct sq_buf *err) SQ_MUST_CHECK;

#endif
