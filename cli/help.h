/* What the command line says of itself. */
#ifndef SQ_CLI_HELP_H
#define SQ_CLI_HELP_H

#include "cli/verbs.h"
#include "core/buf.h"

/* Prints what one verb takes.  Returns the exit code. */
int sq_help_verb(const struct sq_verb *);

/* The whole text of --help, the manual page in troff, and the script for bash. */
void sq_help_text(struct sq_buf *out, const struct sq_verb *verbs, size_t n);
void sq_man_text(struct sq_buf *out, const struct sq_verb *verbs, size_t n);
void sq_completion_text(struct sq_buf *out, const struct sq_verb *verbs, size_t n);

#endif
