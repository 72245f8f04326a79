/* Who is asking: what a credential proves about a caller.
 *
 * Made by the verifiers of this folder, kept by a link for as long as that is
 * open; a session keeps the id alone. */
#ifndef SQ_BROKER_AUTH_IDENTITY_H
#define SQ_BROKER_AUTH_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proto/link/key.h"

enum {
	SQ_IDENTITY_NAME_MAX = 253, /* bytes of an account's name, as Kubernetes has it */
	SQ_IDENTITY_NOBODY = 0,     /* id: no credential is asked for */
	SQ_IDENTITY_TOKEN = 1,      /* id: a token of auth.token-file */
};

struct sq_identity {
	/* The owner of sessions: one of the two above, else of who the credential
	 * names, the same after a restart. */
	uint64_t id;
	char space[SQ_KEY_PART_MAX + 1]; /* empty: any space may be named */
	char pod[SQ_KEY_PART_MAX + 1];   /* empty: any pod */
	int64_t expires_s;               /* wall clock; 0: never */
};

/* Whether both are the same account of the same namespace, whatever their pods. */
static inline bool
sq_identity_equal(const struct sq_identity *a, const struct sq_identity *b)
{
	return a->id == b->id && strcmp(a->space, b->space) == 0;
}

/* The id of an account: the first 8 bytes of SHA-256 over the parts with a NUL between
 * them, never one of those above. */
uint64_t sq_identity_id(const char *kind, const char *issuer, const char *space, const char *name);

#endif
