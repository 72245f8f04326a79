/* The sidecar's own certificate for brokers, with its key: two files that are read again when they
 * change.  While the two do not match, the last good pair stays.
 *
 * On the loop's thread. */
#ifndef SQ_NET_PAIR_H
#define SQ_NET_PAIR_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_pair;

/* Reads the files, whose names outlive the pair.  NULL with a line in 'err'. */
struct sq_pair *sq_pair_open(const char *cert_file, const char *key_file, struct sq_buf *err);
void sq_pair_free(struct sq_pair **);
/* Reads the files again if they have changed; called before each dial.  Bad files are logged once,
 * after a while. */
void sq_pair_refresh(struct sq_pair *);
/* The end of the certificate, in seconds since 1970; 0: unknown. */
int64_t sq_pair_end(const struct sq_pair *);
/* Sets the pair on a connection; NULL: none. */
int sq_pair_use(const struct sq_pair *, SSL *) SQ_MUST_CHECK;

#endif
