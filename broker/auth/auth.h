/* Who is asking: the seam between the front and what judges credentials.
 *
 *   front --sq_auth_ask()--> sq_auth --> verifiers in turn: tokens of a file (tokens.h),
 *   client certificates (certs.h), signed tokens (issuers.h), whose keys come from files or,
 *   on a thread of its own, from an API server.
 *
 * One object for all workers.  No function here blocks a loop but by files of keys and
 * tokens that have changed, which are small. */
#ifndef SQ_BROKER_AUTH_AUTH_H
#define SQ_BROKER_AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/auth/identity/identity.h"
#include "broker/auth/identity/reason.h"
#include "core/buf.h"
#include "core/list.h"
#include "core/msg.h"

struct sq_auth;
struct sq_verifier;

/* Whose signed tokens are believed, besides the cluster's. */
struct sq_auth_issuer {
	const char *issuer;    /* "iss" */
	const char *audience;  /* NULL: that of the configuration */
	const char *space;     /* of all its tokens; NULL: the namespace that each names */
	const char *keys_file; /* a JWK Set; or */
	const char *keys_url;  /* where one is fetched */
	const char *ca_file;   /* of that server; NULL: the system's */
};

/* Who certificates are of whose name matches, and what they may name. */
struct sq_auth_certificate {
	const char *name; /* a pattern (core/glob.h) of the URI or DNS name */
	const char *const *spaces;
	size_t n_spaces;
};

enum { SQ_BASIS_ABOVE_MAX = 9 }; /* certificates above a client's, in its chain */

/* What an identity rests on. */
struct sq_basis {
	uint64_t what;                      /* a token's line, a key, a certificate's authority */
	uint64_t number;                    /* of the certificate; else 0 */
	uint64_t above[SQ_BASIS_ABOVE_MAX]; /* likewise of those above it, until a 0 */
};

struct sq_auth_cfg {
	const char *tokens_file;     /* NULL or empty: none */
	const char *client_ca_file;  /* of client certificates; NULL or empty: none are taken */
	const char *client_crl_file; /* which are revoked; NULL or empty: none */
	const struct sq_auth_certificate *certificates;
	size_t n_certificates; /* 0: by SPIFFE names alone */
	/* The tokens of a cluster's service accounts. */
	bool kubernetes;
	const char *api_server;     /* NULL: of the environment */
	const char *api_token_file; /* NULL: where kubelet puts it */
	const char *api_ca_file;    /* NULL: likewise */
	const char *audience;
	const struct sq_auth_issuer *issuers;
	size_t n_issuers;
	const char *cache_dir; /* where the last good keys are kept; NULL: nowhere */
	uint64_t refresh_ms;   /* between looks at unchanged keys; 0: 5 minutes */
	uint64_t unknown_ms;   /* between looks for unknown keys; 0: 10 s */
};

/* A question.  The asker's; answered once, at once or later. */
struct sq_auth_request {
	struct sq_bytes credential; /* value of the authorization header; empty: none */
	/* What its connection's client has shown to have the key of, and sent with it; NULL: none.
	 * A token speaks for its caller before a certificate does. */
	struct x509_st *cert;
	struct stack_st_X509 *chain;
	/* Called for an answer that comes later, on a thread of no loop. */
	void (*done)(struct sq_auth_request *);

	/* The answer. */
	enum sq_auth_reason reason;         /* SQ_AUTH_NONE: it is good */
	const struct sq_identity *identity; /* a reference; of a good one */
	struct sq_basis basis;              /* what that rests on: for sq_auth_holds() */
	struct sq_buf known; /* of a refused caller, for the log; sq_auth_request_fini() */

	/* The verifier's. */
	struct sq_list node;
	struct sq_buf copy;
	struct sq_bytes token; /* in 'credential' or 'copy' */
};

struct sq_auth_counts {
	size_t keys;         /* that verify signed tokens */
	size_t tokens;       /* of auth.tokens-file */
	size_t bad_files;    /* that can't be taken as they are; the last good ones stay */
	uint64_t stale_ms;   /* since a server of keys last answered; 0: there is none */
	int64_t lists_end_s; /* when the first list of auth.client-crl-file ends; 0: none does */
};

/* Reads files and the last good keys; nothing is fetched yet.  NULL with a line in 'err'
 * that begins with the key of the configuration. */
struct sq_auth *sq_auth_new(const struct sq_auth_cfg *, struct sq_buf *err);
/* Whether anybody is asked for a credential at all. */
bool sq_auth_asks(const struct sq_auth *);
/* Whether for a certificate; 'alone': for nothing else. */
bool sq_auth_asks_certificates(const struct sq_auth *, bool *alone);
/* Begins to fetch keys. */
void sq_auth_start(struct sq_auth *);
/* Ends that.  Each request that waits is answered, and none waits from now on. */
void sq_auth_stop(struct sq_auth *);
void sq_auth_free(struct sq_auth **);

/* True: it is answered.  False: later, by 'done'; the request stays where it is until
 * then, its credential need not.  Thread: any. */
bool sq_auth_ask(struct sq_auth *, struct sq_auth_request *);
/* Also gives up the identity that is still there. */
void sq_auth_request_fini(struct sq_auth_request *);
/* Changes whenever what identities rest on may have changed.  Thread: any. */
uint64_t sq_auth_epoch(const struct sq_auth *);
/* Whether an identity's basis is still there: its token in the file, its key among those
 * of its issuer, its certificate's authority, which has not revoked it.  Thread: any. */
bool sq_auth_holds(struct sq_auth *, struct sq_basis);
/* A few times a second, by any worker: looks at files that no thread of their verifier looks
 * at.  Thread: any. */
void sq_auth_refresh(struct sq_auth *);
/* Whether all that it was told to verify can be; else lines in 'why'.  Thread: any. */
bool sq_auth_ready(struct sq_auth *, struct sq_buf *why);
struct sq_auth_counts sq_auth_counts(struct sq_auth *);

#endif
