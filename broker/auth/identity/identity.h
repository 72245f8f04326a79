/* The identity of a caller, as its credential proves it.
 *
 * Immutable and reference-counted.  Verifiers (broker/auth) make it, and a link keeps it while the
 * link is open; a session keeps the id alone.
 *
 * Rules and logs use the name, which tells the kind of proof:
 *
 *   token:NAME               a line of auth.tokens-file
 *   cert:URI, cert:DNS-NAME  a client's certificate
 *   kube:NAMESPACE/ACCOUNT   a token of a Kubernetes service account
 *   jwt:ISSUER#SUBJECT       a signed token of an issuer with a space of its own
 *   bridge:SPACE/NAME        a bridge, which needs no credential
 *   (empty)                  nobody was asked for a credential
 *
 * Thread: any. */
#ifndef SQ_BROKER_AUTH_IDENTITY_IDENTITY_H
#define SQ_BROKER_AUTH_IDENTITY_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/link/key.h"

enum {
	SQ_IDENTITY_NAME_MAX = 2048,  /* bytes of a name, as of a SPIFFE id */
	SQ_IDENTITY_SPACES_MAX = 64,  /* spaces of one identity */
	SQ_IDENTITY_ACCOUNT_MAX = 253 /* bytes of an account's name, as Kubernetes has it */
};

/* Owners of sessions that belong to nobody: the next caller becomes the owner. */
enum {
	SQ_IDENTITY_NOBODY = 0,    /* id: no credential is asked for */
	SQ_IDENTITY_OLD_TOKEN = 1, /* id: any token of a time when tokens had no names */
};

struct sq_identity {
	/* The owner of sessions: of the account that the credential names, equal after a restart. */
	uint64_t id;
	int64_t expires_s;         /* wall clock; 0: never */
	const char *name;          /* see above; UTF-8 without control characters */
	const char *pod;           /* empty: any */
	const char *const *spaces; /* sorted, each once */
	size_t n_spaces;           /* 0: any space may be named */
};

/* Returns a copy of all members, with one reference.  'spaces' may be in any order; a text that is
 * NULL is empty. */
const struct sq_identity *sq_identity_new(const struct sq_identity *);
/* The identity of callers without a credential; a reference. */
const struct sq_identity *sq_identity_nobody(void);
const struct sq_identity *sq_identity_ref(const struct sq_identity *);
/* Gives a reference back, which may be NULL, and nulls it. */
void sq_identity_unref(const struct sq_identity **);

/* Whether names of some kind can match the pattern (core/glob.h).  A pattern without wildcards is a
 * name, which must be of a kind; the empty name is. */
bool sq_identity_may_fit(const char *pattern);
/* The kinds, for messages about a wrong pattern. */
extern const char sq_identity_kinds[];

/* Whether the identity may name that space. */
bool sq_identity_has_space(const struct sq_identity *, const char *space);
/* Whether both identities may name the same spaces. */
bool sq_identity_same_spaces(const struct sq_identity *, const struct sq_identity *);
/* Appends "shop" or "shop, stock" or "any", cut after a few, for a log. */
struct sq_buf;
void sq_identity_say_spaces(const struct sq_identity *, struct sq_buf *out);
/* Whether a text may be part of a name: not empty, at most 'max' bytes, UTF-8 without control
 * characters. */
bool sq_identity_text(const char *, size_t max);

/* The id of an account: the first 8 bytes of SHA-256 over the parts with a NUL between
 * them, never one of those above.  'kind' is "k8s", "jwt", "token" or "cert"; the last two
 * have neither issuer nor space. */
uint64_t sq_identity_id(const char *kind, const char *issuer, const char *space, const char *name);

#endif
