/* See broker/front/http/tenant.h. */
#include "broker/front/http/tenant.h"

#include <string.h>

#include "broker/auth/identity/identity.h"

/* Of callers who may name any, and name none: a sidecar's, too. */
#define SPACE_UNSAID "default"

int
sq_http_tenant(struct sq_bytes named, const struct sq_identity *who, char out[SQ_KEY_PART_MAX + 1],
    struct sq_http_fault *fault)
{
	if (named.len > SQ_KEY_PART_MAX)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
		    "sqmqos-space is longer than %d bytes", SQ_KEY_PART_MAX);
	if (named.len == 0 && who->n_spaces > 1)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED,
		    "%s has several spaces: sqmqos-space must name one", who->name);
	if (named.len > 0)
		memcpy(out, named.p, named.len);
	out[named.len] = '\0';
	if (named.len == 0 && who->n_spaces == 0)
		strcpy(out, SPACE_UNSAID);
	return SQ_OK;
}
