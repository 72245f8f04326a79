/* Who is asking: what a credential proves about a caller.
 *
 * Immutable and reference-counted.  Made by the verifiers of this folder, kept by a link
 * for as long as that is open; a session keeps the id alone.
 *
 * A name is what rules and logs say, and says how it was proven:
 *
 *   token:NAME               a line of auth.tokens-file
 *   cert:URI, cert:DNS-NAME  a client's certificate
 *   kube:NAMESPACE/ACCOUNT   a token of a Kubernetes service account
 *   jwt:ISSUER#SUBJECT       a signed token of an issuer with a space of its own
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
	SQ_IDENTITY_SPACES_MAX = 64,  /* that one may name */
	SQ_IDENTITY_ACCOUNT_MAX = 253 /* bytes of an account's name, as Kubernetes has it */
};

/* Owners of sessions that are nobody's: such a session goes to who comes for it. */
enum {
	SQ_IDENTITY_NOBODY = 0,    /* id: no credential is asked for */
	SQ_IDENTITY_OLD_TOKEN = 1, /* id: any token of a time when tokens had no names */
};

struct sq_identity {
	/* The owner of sessions: of who the credential names, the same after a restart. */
	uint64_t id;
	int64_t expires_s;         /* wall clock; 0: never */
	const char *name;          /* see above; UTF-8 without control characters */
	const char *pod;           /* empty: any */
	const char *const *spaces; /* sorted, each once */
	size_t n_spaces;           /* 0: any space may be named */
};

/* A copy of all that is there, with one reference.  'spaces' may be in any order; NULL for a
 * text: empty. */
const struct sq_identity *sq_identity_new(const struct sq_identity *);
/* Nobody was asked.  A reference, as any. */
const struct sq_identity *sq_identity_nobody(void);
const struct sq_identity *sq_identity_ref(const struct sq_identity *);
/* Also of NULL. */
void sq_identity_unref(const struct sq_identity **);

/* Whether any name can fit the pattern (core/glob.h), by its kind.  A pattern without wildcards
 * is a name: then whether it is of a kind; the empty one is. */
bool sq_identity_may_fit(const char *pattern);
/* The kinds, for who has made a mistake. */
extern const char sq_identity_kinds[];

/* Whether it may name that space at all. */
bool sq_identity_has_space(const struct sq_identity *, const char *space);
/* Whether both may name the same spaces. */
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
