/* See broker/auth/identity.h. */
#include "broker/auth/identity.h"

#include "broker/auth/digest.h"
#include "core/mem.h"

static struct sq_bytes
identity_part(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

uint64_t
sq_identity_id(const char *kind, const char *issuer, const char *space, const char *name)
{
	const struct sq_bytes parts[] = {
	    identity_part(kind), identity_part(issuer), identity_part(space), identity_part(name)};
	uint64_t id = sq_digest_u64(parts, SQ_ARRAY_LEN(parts));

	return id == SQ_IDENTITY_NOBODY || id == SQ_IDENTITY_TOKEN ? UINT64_MAX : id;
}
