/* The bundle of authorities in state.dir: a file trust.pem, with the bundle below a line that
 * identifies the configuration to which it was sent.  Knows no TLS. */
#ifndef SQ_NET_TRUST_KEPT_H
#define SQ_NET_TRUST_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

/* Appends the bundle of the configuration 'base' to 'out'.  False: there is none; 'why' gets a line
 * if the file is unreadable or malformed. */
bool sq_trust_kept_read(const char *dir, uint64_t base, struct sq_buf *out, struct sq_buf *why);
/* Writes the bundle atomically; makes 'dir' if it is missing.  SQ_EIO with a line in 'why'. */
int sq_trust_kept_write(
    const char *dir, uint64_t base, struct sq_bytes bundle, struct sq_buf *why) SQ_MUST_CHECK;

#endif
