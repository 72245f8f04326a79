/* The bundle of authorities as it is kept in state.dir: a file trust.pem, which is the
 * bundle below a line that says to which configuration it was sent.  Knows no TLS. */
#ifndef SQ_NET_TRUST_KEPT_H
#define SQ_NET_TRUST_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

/* Appends the bundle that was sent to the configuration 'base' to 'out'.  False when there is
 * none; a line in 'why' where there is something that can't be read. */
bool sq_trust_kept_read(const char *dir, uint64_t base, struct sq_buf *out, struct sq_buf *why);
/* Puts it there as a whole or not at all; makes 'dir' if need be.  SQ_EIO with a line in
 * 'why'. */
int sq_trust_kept_write(
    const char *dir, uint64_t base, struct sq_bytes bundle, struct sq_buf *why) SQ_MUST_CHECK;

#endif
