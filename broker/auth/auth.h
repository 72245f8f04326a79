/* Identities of callers: fronts ask, and verifiers judge the credentials.
 *
 *   front --sq_auth_ask()--> sq_auth --> verifiers in turn: tokens of a file (tokens.h),
 *   client certificates (certs.h), signed tokens (issuers.h), whose keys come from files or,
 *   on a thread of its own, from an API server.
 *
 * All workers share one object.  The only blocking work on a loop is reading files of keys and tokens
 * that have changed, which are small. */
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
struct sq_out_shared;
struct sq_verifier;

/* An issuer whose signed tokens are accepted, besides the cluster's. */
struct sq_auth_issuer {
	const char *issuer;    /* "iss" */
	const char *audience;  /* NULL: that of the configuration */
	const char *space;     /* of all its tokens; NULL: the namespace that each names */
	const char *keys_file; /* of a JWK Set; or NULL, and */
	const char *keys_url;  /* the URL of one */
	const char *ca_file;   /* of that server; NULL: the system's */
};

/* The spaces of certificates whose names match. */
struct sq_auth_certificate {
	const char *name; /* a pattern (core/glob.h) of the URI or DNS name */
	const char *const *spaces;
	size_t n_spaces;
};

enum { SQ_BASIS_ABOVE_MAX = 9 }; /* certificates above a client's, in its chain */

/* The basis of an identity. */
struct sq_basis {
	uint64_t what;                      /* a token's line, a key, a certificate's authority */
	uint64_t number;                    /* of the certificate; else 0 */
	uint64_t above[SQ_BASIS_ABOVE_MAX]; /* numbers of the certificates above it, until a 0 */
};

struct sq_auth_cfg {
	const char *tokens_file;     /* NULL or empty: none */
	const char *client_ca_file;  /* of client certificates; NULL or empty: none are taken */
	const char *client_crl_file; /* lists of revoked ones; NULL or empty: none */
	const struct sq_auth_certificate *certificates;
	size_t n_certificates; /* 0: by SPIFFE names alone */
	/* The tokens of a cluster's service accounts. */
	bool kubernetes;
	const char *api_server;     /* NULL: of the environment */
	const char *api_token_file; /* NULL: where kubelet puts it */
	const char *api_ca_file;    /* NULL: where kubelet puts it */
	const char *audience;
	const struct sq_auth_issuer *issuers;
	size_t n_issuers;
	const char *cache_dir; /* folder of the last good keys; NULL: none */
	/* What sends requests to servers of keys, and outlives it; NULL: one of its own. */
	struct sq_out_shared *out;
	uint64_t refresh_ms; /* between fetches of known keys; 0: 5 minutes */
	uint64_t unknown_ms; /* between fetches for unknown keys; 0: 10 s */
};

/* A question, which belongs to its caller and is answered once, at once or later. */
struct sq_auth_request {
	struct sq_bytes credential; /* value of the authorization header; empty: none */
	/* The certificate of the connection's client, who has shown its key, and the chain sent with
	 * it; NULL: none.  A token counts before a certificate. */
	struct x509_st *cert;
	struct stack_st_X509 *chain;
	/* Reports an answer that comes later.  Thread: any but a loop's. */
	void (*done)(struct sq_auth_request *);

	/* The answer. */
	enum sq_auth_reason reason;         /* SQ_AUTH_NONE: it is good */
	const struct sq_identity *identity; /* a reference; of a good one */
	struct sq_basis basis;              /* of the identity, for sq_auth_holds() */
	struct sq_buf known;                /* details of a refused caller, for the log */

	/* The verifier's. */
	struct sq_list node;
	struct sq_buf copy;
	struct sq_bytes token; /* in 'credential' or 'copy' */
};

struct sq_auth_counts {
	size_t keys;         /* that verify signed tokens */
	size_t tokens;       /* of auth.tokens-file */
	size_t bad_files;    /* whose last good contents stay in use */
	uint64_t stale_ms;   /* since a server of keys last answered; 0: there is none */
	int64_t lists_end_s; /* end of the first list of auth.client-crl-file; 0: none */
};

/* Reads files and the last good keys; nothing is fetched yet.  NULL with a line in 'err'
 * that begins with the key of the configuration. */
struct sq_auth *sq_auth_new(const struct sq_auth_cfg *, struct sq_buf *err);
/* Whether callers need a credential at all. */
bool sq_auth_asks(const struct sq_auth *);
/* Whether a certificate counts; 'alone': nothing else does. */
bool sq_auth_asks_certificates(const struct sq_auth *, bool *alone);
/* Starts to fetch keys. */
void sq_auth_start(struct sq_auth *);
/* Stops fetching.  Each request that waits is answered, and none waits from now on. */
void sq_auth_stop(struct sq_auth *);
void sq_auth_free(struct sq_auth **);

/* True: the request is answered.  False: 'done' reports the answer later; until then the request
 * stays in its place, while its credential may go.  Thread: any. */
bool sq_auth_ask(struct sq_auth *, struct sq_auth_request *);
/* Frees the request's memory, and gives up its identity. */
void sq_auth_request_fini(struct sq_auth_request *);
/* A number that changes whenever the basis of some identity may have changed.  Thread: any. */
uint64_t sq_auth_epoch(const struct sq_auth *);
/* Whether an identity's basis still holds: its token is in the file, its key is one of its issuer's,
 * its certificate's authority is there and has not revoked it.  Thread: any. */
bool sq_auth_holds(struct sq_auth *, struct sq_basis);
/* Checks files for which the verifier has no thread.  Is called a few times a second.
 * Thread: any. */
void sq_auth_refresh(struct sq_auth *);
/* Whether all configured verifiers can judge; else lines in 'why'.  Thread: any. */
bool sq_auth_ready(struct sq_auth *, struct sq_buf *why);
struct sq_auth_counts sq_auth_counts(struct sq_auth *);

#endif
