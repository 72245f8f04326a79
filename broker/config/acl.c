/* The access rules of the broker's configuration: from the records of "acl" to rules. */
#include <stdlib.h>

#include "broker/auth/acl/acl.h"
#include "broker/config/config.h"
#include "core/mem.h"

struct sq_acl *
sq_broker_config_acl(const struct sq_broker_config *c, struct sq_buf *err)
{
	const struct sq_broker_rule *from = c->acl.v;
	struct sq_acl_rule *rules = sq_xcalloc(c->acl.n + 1, sizeof *rules);
	struct sq_acl *acl;

	for (size_t i = 0; i < c->acl.n; i++)
		rules[i] = (struct sq_acl_rule){
		    .allow = from[i].allow,
		    .deny = from[i].deny,
		    .identity = from[i].identity,
		    .space = from[i].space,
		    .topics = from[i].topics,
		    .queues = from[i].queues,
		    .where = from[i].record.where,
		};
	acl = sq_acl_new(rules, c->acl.n, c->acl_default != 0, err);
	free(rules);
	return acl;
}
