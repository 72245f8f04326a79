/* See broker/auth/identity.h. */
#include "broker/auth/identity.h"

#include "broker/auth/digest.h"
#include "core/mem.h"

uint64_t
sq_identity_id(const char *kind, const char *issuer, const char *space, const char *name)
{
	const struct sq_bytes parts[] = {
	    sq_bytes_of(kind), sq_bytes_of(issuer), sq_bytes_of(space), sq_bytes_of(name)};
	uint64_t id = sq_digest_u64(parts, SQ_ARRAY_LEN(parts));

	return id == SQ_IDENTITY_NOBODY || id == SQ_IDENTITY_TOKEN ? UINT64_MAX : id;
}
