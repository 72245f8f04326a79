/* Lines of a tokens file. */
#ifndef SQ_TEST_SUPPORT_TOKEN_LINE_H
#define SQ_TEST_SUPPORT_TOKEN_LINE_H

#include "core/buf.h"

/* Appends the line that lets 'token' in. */
void token_line(struct sq_buf *out, const char *name, const char *spaces, const char *token);

#endif
