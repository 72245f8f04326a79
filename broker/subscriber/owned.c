#include "broker/subscriber/owned.h"

#include "broker/shard/shard.h"
#include "broker/subscriber/ask.h"
#include "broker/subscriber/declare.h"

enum { LEFT_S = 1 }; /* without a message, until a queue ends whose owner is gone */

static int
owned_declare(struct sq_shard *sh, struct sq_declare *in, const char *space, struct sq_buf *why)
{
	struct sq_subscriber *s = sq_subscriber_find(sh, space, in->name);
	struct sq_ask_txn *a = sq_ask_txn_new(sh, NULL);
	uint64_t before = s != NULL ? s->revision : 0;
	enum sq_queue_how how;

	in->txn = &a->txn;
	in->tenant = sq_tenant_get(sh->broker->tenants, space);
	sq_space_wrlock(sq_tenant_space(in->tenant));
	how = sq_declare(sh, in, &s, why);
	if (how == SQ_QUEUE_CREATED || (how == SQ_QUEUE_DONE && s->revision != before))
		sq_ask_txn_commit(a);
	else
		sq_ask_txn_drop(&a);
	sq_space_unlock(sq_tenant_space(in->tenant));
	sq_tenant_unref(&in->tenant);
	return how == SQ_QUEUE_CREATED || how == SQ_QUEUE_DONE ? SQ_OK : SQ_EDENIED;
}

int
sq_subscriber_own_so(struct sq_shard *sh, const char *space, const char *name,
    const struct sq_declaration *decl, struct sq_buf *why)
{
	struct sq_declare in = {.name = name, .decl = decl, .in_file = true, .owned = true};

	return owned_declare(sh, &in, space, why);
}

void
sq_subscriber_disown(struct sq_subscriber *s)
{
	struct sq_declaration decl;
	struct sq_buf why = {0};
	struct sq_declare in = {.name = s->name, .decl = &decl, .releases = true};

	sq_declaration_copy(&decl, s->decl);
	while (decl.n_bindings > 0)
		(void)sq_declaration_unbind(&decl, decl.bindings[0].id);
	decl.expiry_s = LEFT_S;
	(void)owned_declare(s->shard, &in, s->space, &why); /* fails as it ends by itself */
	sq_declaration_fini(&decl);
	sq_buf_fini(&why);
}
