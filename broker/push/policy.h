/* The address policy: to which hosts and addresses a push may go (docs/push.md, "Addresses").
 *
 * A URL is judged when it is declared (scheme, host), and the address of each connection and of each
 * request when it is made: what a name says then counts, and nothing else.
 *
 *   public addresses                      by https
 *   10/8, 172.16/12, 192.168/16,          where a row has the host, or a range with the address
 *   100.64/10, fc00::/7
 *   loopback, link-local, multicast, …    where a row's range has the address and lies in theirs
 *   the broker's own                      where a row's range is that address
 *
 * http goes where a row has the host.  Immutable once made; references are counted.  Pure.
 * Thread: any. */
#ifndef SQ_BROKER_PUSH_POLICY_H
#define SQ_BROKER_PUSH_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_push_policy;

/* What is allowed beside public addresses by https: rows of push.allow. */
struct sq_push_allow {
	const char *host; /* a pattern (core/glob.h) in lower case, {space} in it; NULL: any */
	const char *cidr; /* "10.0.0.0/8", "fd00::/8", an address; NULL: any of that host */
	const char *const *spaces; /* patterns; none: of any space */
	size_t n_spaces;
	const char *where; /* "broker.yaml:12" */
};

struct sq_push_policy_cfg {
	const struct sq_push_allow *allow;
	size_t n_allow;
	/* Hosts whose targets are asked for no consent, whoever declares them: patterns as of 'allow'. */
	const char *const *trusted;
	size_t n_trusted;
	/* Addresses of the broker itself, denied unless a row's cidr is that address alone. */
	const struct sockaddr_storage *own;
	size_t n_own;
};

/* Copies and checks.  NULL with a line in 'err' that begins with the place of the row that is wrong. */
struct sq_push_policy *sq_push_policy_new(const struct sq_push_policy_cfg *, struct sq_buf *err);
struct sq_push_policy *sq_push_policy_ref(struct sq_push_policy *);
void sq_push_policy_unref(struct sq_push_policy **);

/* Whether a URL may be declared in that space: http only to allowed hosts, else https; an address that
 * stands in it is judged at once.  SQ_EDENIED with a line in 'err'. */
int sq_push_policy_url(const struct sq_push_policy *, const char *space, const char *url,
    struct sq_buf *err) SQ_MUST_CHECK;
/* The same of a declaration's push.url; NULL: there is none, which may be.  The line names the setting. */
int sq_push_policy_declared(const struct sq_push_policy *, const char *space, const char *url,
    struct sq_buf *err) SQ_MUST_CHECK;
/* Whether a request of that space for that host, by https or http, may go to that address. */
bool sq_push_policy_address(const struct sq_push_policy *, const char *space, bool https,
    const char *host, const struct sockaddr *);

/* Whether the URL's host, in that space, is one of 'trusted'. */
bool sq_push_policy_trusts(const struct sq_push_policy *, const char *space, const char *url);

#endif
