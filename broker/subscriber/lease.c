#include "broker/subscriber/lease.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/identity.h"
#include "core/base64.h"
#include "core/bytes.h"
#include "core/hmac.h"
#include "core/mem.h"

enum {
	HEAD = 28, /* bytes in front of the proof */
	PROOF = 8,
	WHOLE = HEAD + PROOF,
};

_Static_assert(WHOLE % 3 == 0 && WHOLE / 3 * 4 == SQ_LEASE_LENGTH, "the text has no padding");
_Static_assert((int)SQ_LEASE_LENGTH < (int)SQ_LEASE_TEXT_MAX, "with a NUL");

struct sq_lease_prover {
	struct sq_hmac *hmac;
};

struct sq_lease_prover *
sq_lease_prover_new(const unsigned char key[SQ_LEASE_KEY])
{
	struct sq_lease_prover *p = sq_xcalloc(1, sizeof *p);

	p->hmac = sq_hmac_new(key, SQ_LEASE_KEY);
	return p;
}

void
sq_lease_prover_free(struct sq_lease_prover **pp)
{
	if (*pp != NULL)
		sq_hmac_free(&(*pp)->hmac);
	free(*pp);
	*pp = NULL;
}

static void
lease_prove(struct sq_lease_prover *p, const struct sq_identity *who,
    const unsigned char head[HEAD], unsigned char out[PROOF])
{
	unsigned char id[8], md[SQ_HMAC_SIZE];
	const struct sq_bytes said[] = {{head, HEAD}, {id, sizeof id},
	    {(const unsigned char *)who->name, strnlen(who->name, SQ_IDENTITY_NAME_MAX)}};

	sq_put64(id, who->id);
	sq_hmac_prove(p->hmac, said, sizeof said / sizeof said[0], md);
	memcpy(out, md, PROOF);
}

void
sq_lease_write(struct sq_lease_prover *p, const struct sq_identity *who, const struct sq_lease *l,
    char out[SQ_LEASE_TEXT_MAX])
{
	unsigned char bytes[WHOLE];

	sq_put64(bytes, l->queue);
	sq_put64(bytes + 8, l->seq);
	sq_put32(bytes + 16, l->attempt);
	sq_put32(bytes + 20, l->number);
	sq_put32(bytes + 24, l->boot);
	lease_prove(p, who, bytes, bytes + HEAD);
	sq_base64_write(out, bytes, sizeof bytes);
	for (size_t i = 0; i < SQ_LEASE_LENGTH; i++)
		out[i] = (char)(out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i]);
}

/* The bytes of a text; false: it is none. */
static bool
lease_bytes(struct sq_bytes text, unsigned char out[WHOLE])
{
	char plain[SQ_LEASE_LENGTH];
	size_t n;

	if (text.len != SQ_LEASE_LENGTH)
		return false;
	for (size_t i = 0; i < SQ_LEASE_LENGTH; i++) {
		char c = (char)text.p[i];

		if (c == '+' || c == '/' || c == '=')
			return false;
		plain[i] = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
	}
	return sq_base64_read(out, &n, plain, sizeof plain) == SQ_OK && n == WHOLE;
}

bool
sq_lease_read(struct sq_lease_prover *p, const struct sq_identity *who, struct sq_bytes text,
    struct sq_lease *out)
{
	unsigned char bytes[WHOLE], proof[PROOF];

	if (!lease_bytes(text, bytes))
		return false;
	lease_prove(p, who, bytes, proof);
	if (CRYPTO_memcmp(proof, bytes + HEAD, PROOF) != 0)
		return false;
	*out = (struct sq_lease){.queue = sq_get64(bytes),
	    .seq = sq_get64(bytes + 8),
	    .attempt = sq_get32(bytes + 16),
	    .number = sq_get32(bytes + 20),
	    .boot = sq_get32(bytes + 24)};
	return true;
}

uint64_t
sq_lease_queue(struct sq_bytes text)
{
	unsigned char bytes[WHOLE];

	return lease_bytes(text, bytes) ? sq_get64(bytes) : 0;
}
