/* Hosts to which a broker may send a sidecar (docs/link.md, "Several brokers").  Pure. */
#ifndef SQ_NET_ALLOWED_H
#define SQ_NET_ALLOWED_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/config.h"
#include "core/err.h"

/* Checks that each of 'allowed' is a host, or ".domain" or "*.domain" for all hosts below it; else
 * SQ_EINVAL with a line in 'err'. */
int sq_allowed_check(const struct sq_strings *allowed, struct sq_buf *err) SQ_MUST_CHECK;
/* Whether 'address', HOST:PORT, is well-formed and its host is one of 'allowed'.  Without such
 * (none, or NULL): a host of 'brokers', one below it, or one beside it in its domain, where the domain is
 * narrow: it ends in "svc", as that of a namespace of Kubernetes, or has three labels or more.  IP
 * addresses have no domain. */
bool sq_allowed_address(
    const struct sq_strings *allowed, const struct sq_strings *brokers, const char *address);

#endif
