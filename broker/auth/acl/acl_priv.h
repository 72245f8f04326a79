/* The inner interface of broker/auth/acl: checked rules. */
#ifndef SQ_BROKER_AUTH_ACL_ACL_PRIV_H
#define SQ_BROKER_AUTH_ACL_ACL_PRIV_H

#include <stdatomic.h>
#include <stdint.h>

#include "broker/auth/acl/acl.h"

struct sq_acl_checked {
	bool deny;
	unsigned verbs; /* a bit for each enum sq_acl_verb */
	char *identity, *space;
	struct sq_strings topics, queues; /* empty: all */
	char *where;
};

struct sq_acl {
	atomic_uint refs;
	bool default_deny;
	size_t n;
	struct sq_acl_checked *rules;
};

/* Whether 'text' has placeholders. */
bool sq_acl_has_places(const char *text);
/* Appends 'text', a filter where 'topic', else a pattern, with its placeholders filled in.
 * SQ_EINVAL: it has {identity}, and there is none. */
int
sq_acl_fill(struct sq_buf *, const char *text, bool topic, const struct sq_acl_who *) SQ_MUST_CHECK;
/* NULL, or the fault of the placeholders of 'text'. */
const char *sq_acl_bad_place(const char *text);

#endif
