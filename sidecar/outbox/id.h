/* Numbers that identify a disk outbox, each in a file of its directory: "id" is the journal's, and
 * "session" that of its session at the brokers, if it differs. */
#ifndef SQ_SIDECAR_OUTBOX_ID_H
#define SQ_SIDECAR_OUTBOX_ID_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

/* Reads the number.  SQ_ENOTFOUND: there is no such file.  SQ_EINVAL, SQ_EIO with a line in
 * 'err'. */
int sq_outbox_id_read(
    const char *dir, const char *name, uint64_t *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Draws a new random number and writes it; durable when the function returns 0.  SQ_EIO with a line
 * in 'err'. */
int sq_outbox_id_draw(
    const char *dir, const char *name, uint64_t *out, struct sq_buf *err) SQ_MUST_CHECK;

#endif
