/* The certificate that the sidecar shows to brokers, with its key: two files that are read again
 * when they change.  A pair that doesn't match yet is waited out, and the last one stays.
 *
 * One loop. */
#ifndef SQ_NET_PAIR_H
#define SQ_NET_PAIR_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_pair;

/* The names outlive the pair.  NULL with a line in 'err'. */
struct sq_pair *sq_pair_open(const char *cert_file, const char *key_file, struct sq_buf *err);
void sq_pair_free(struct sq_pair **);
/* Looks whether the files have changed; before each dial.  Files that can't be taken are
 * logged, once, when that has lasted for a while. */
void sq_pair_refresh(struct sq_pair *);
/* When its certificate ends, in seconds since 1970; 0: it can't be told. */
int64_t sq_pair_end(const struct sq_pair *);
/* Has a connection show it; NULL: it shows none. */
int sq_pair_use(const struct sq_pair *, SSL *) SQ_MUST_CHECK;

#endif
