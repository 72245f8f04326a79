/* "--lint FILE...": files that a broker reads, checked by what they are: those of bridges.dir, of
 * subscribers.dir, and its own configuration.  Nothing but the files themselves is read. */
#ifndef SQ_BROKER_CONFIG_LINT_H
#define SQ_BROKER_CONFIG_LINT_H

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

enum sq_lint_file { SQ_LINT_BRIDGES, SQ_LINT_SUBSCRIBERS, SQ_LINT_BROKER };

/* What a file is, by the keys of its outermost map: "bridges" alone, those of the broker's configuration,
 * or spaces of queues.  A text that does not read is one of those. */
enum sq_lint_file sq_lint_is(struct sq_bytes text);
/* Checks files that are for one broker.  'out' gets a line for each that is good, and for each fault:
 * SQ_EINVAL, or SQ_EIO where a file can't be read. */
int sq_lint_files(const char *const *paths, size_t n, struct sq_buf *out) SQ_MUST_CHECK;
/* Checks files and prints these lines.  Returns the exit code: 0 all are good, 1 one is not, 2 one can't be
 * read, or there is none. */
int sq_lint_run(const char *const *paths, size_t n);

#endif
