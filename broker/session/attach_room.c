#include "broker/session/attach_room.h"

#include <string.h>

#include "broker/publish/refused.h"
#include "broker/session/background_txn.h"
#include "broker/session/call_txn.h"
#include "broker/session/denied.h"
#include "broker/session/persist.h"
#include "broker/session/session.h"
#include "core/log.h"
#include "core/memory.h"

bool
sq_attach_moves(const struct sq_session *s, const struct sq_attach *a)
{
	return s->stored.base &&
	    (s->stored.instance != a->instance || s->stored.ordinal != a->ordinal);
}

/* Whether a PUT for this session changes records of the store. */
static bool
attach_needs_store(const struct sq_call *c, const struct sq_session *s, const struct sq_attach *a,
    const struct sq_session *durable)
{
	return c->key->pod[0] == '\0' || (s != NULL && sq_attach_moves(s, a)) ||
	    (durable != NULL && durable->stored.base);
}

/* Whether a PUT for this session could not be answered before the store is well again. */
static bool
attach_would_hang(struct sq_broker *b, const struct sq_call *c, const struct sq_session *s,
    const struct sq_attach *a, const struct sq_session *durable)
{
	return sq_persist_engine(b) && attach_needs_store(c, s, a, durable) &&
	    b->engine->ops->stalled(b->engine);
}

/* Notes in the view that the PUT is refused. */
static void
attach_see(struct sq_broker *b, const struct sq_call *c, enum sq_refusal why,
    enum sq_verdict verdict, const char *text)
{
	sq_denied_see(b, c, sq_refusal_name(why), text, sq_verdict_row(verdict)->http);
}

/* Answers, if the store has no room for new state: a durable session, or a larger will of one. */
static bool
attach_store_full(
    struct sq_broker *b, struct sq_call *c, const struct sq_session *s, const struct sq_attach *a)
{
	uint64_t will = s != NULL && s->will.msg.image != NULL ? sq_image_size(s->will.msg.image)
							       : 0;

	if (c->key->pod[0] != '\0' || !sq_engine_full(b->engine) ||
	    (s != NULL && a->will.len <= will))
		return false;
	sq_count(b, SQ_M_REFUSED_BY_STORE_FULL, 1);
	SQ_WARN("session", "%s~%s~%s: refused, " SQ_REFUSED_STORE, c->key->space, c->key->workload,
	    c->key->client);
	c->retry_after_s = 1;
	c->full = s == NULL ? SQ_FULL_STORE : SQ_FULL_NOT;
	attach_see(b, c, SQ_REFUSAL_STORE_FULL, SQ_VERDICT_NO_STORE, SQ_REFUSED_STORE);
	sq_call_answer(c, s == NULL ? SQ_VERDICT_FULL : SQ_VERDICT_NO_STORE, SQ_REFUSED_STORE);
	return true;
}

static void
attach_no_room(struct sq_call *c, enum sq_full full, const char *detail)
{
	c->retry_after_s = 1;
	c->full = full;
	sq_call_answer(c, SQ_VERDICT_FULL, detail);
}

/* Answers that the tenant's share is used up. */
static void
attach_no_share(struct sq_broker *b, struct sq_call *c, const struct sq_account *account)
{
	struct sq_buf why = {0};

	sq_share_explain(account, SQ_SHARE_SESSIONS, &why);
	sq_buf_u8(&why, '\0');
	sq_count(b, SQ_M_SESSIONS_REFUSED, 1);
	sq_count(b, SQ_M_REFUSED_BY_SESSIONS_FULL, 1);
	SQ_WARN("session", "%s~%s~%s: refused: %s", c->key->space, c->key->workload, c->key->client,
	    (const char *)sq_buf_data(&why));
	attach_see(
	    b, c, SQ_REFUSAL_SESSIONS_FULL, SQ_VERDICT_FULL, (const char *)sq_buf_data(&why));
	if (sq_share_of_own(account, SQ_SHARE_SESSIONS))
		attach_no_room(c, SQ_FULL_SPACE, "its tenant has as many sessions as it may");
	else
		attach_no_room(c, SQ_FULL_BROKER, "the broker has as many sessions as it may");
	sq_buf_fini(&why);
}

/* Counts the session of a PUT, which is new, in its tenant's account; false: it was answered
 * that there is no room.  One that takes the place of another needs none. */
static bool
attach_count(struct sq_broker *b, struct sq_call *c, bool replaces)
{
	struct sq_tenant *tenant = sq_tenant_get(b->tenants, c->key->space);
	struct sq_account *account = sq_tenant_account(tenant);
	bool good = true;

	if (replaces)
		sq_share_force(account, SQ_SHARE_SESSIONS, 1);
	else
		good = sq_share_take(account, SQ_SHARE_SESSIONS, 1);
	if (!good)
		attach_no_share(b, c, account);
	sq_tenant_unref(&tenant);
	return good;
}

static void
attach_no_memory(struct sq_broker *b, struct sq_call *c)
{
	sq_count(b, SQ_M_SESSIONS_REFUSED_MEMORY, 1);
	sq_count(b, SQ_M_REFUSED_BY_MEMORY, 1);
	SQ_WARN("session", "%s~%s~%s: refused, the memory is nearly used up (limits.memory)",
	    c->key->space, c->key->workload, c->key->client);
	attach_see(b, c, SQ_REFUSAL_MEMORY, SQ_VERDICT_FULL,
	    "the broker's memory is nearly used up (limits.memory)");
	attach_no_room(c, SQ_FULL_MEMORY, "the broker has no memory for one more session");
}

/* Answers, if the will is above the limit. */
static bool
attach_will_too_large(struct sq_broker *b, struct sq_call *c, const struct sq_attach *a)
{
	if (a->will.len <= b->cfg.max_will)
		return false;
	sq_count(b, SQ_M_REFUSED_BY_QUOTA, 1);
	SQ_WARN("session", "%s~%s~%s: a will of %zu bytes is refused, limits.will is %u",
	    c->key->space, c->key->workload, c->key->client, a->will.len, b->cfg.max_will);
	attach_see(b, c, SQ_REFUSAL_QUOTA, SQ_VERDICT_TOO_LARGE, "the will is above limits.will");
	sq_call_answer(c, SQ_VERDICT_TOO_LARGE, "the will is above limits.will");
	return true;
}

/* Counts the link's connection as the tenant's, if it is nobody's yet; false: it was answered
 * that the tenant has its share. */
static bool
attach_count_link(struct sq_broker *b, struct sq_call *c)
{
	struct sq_tenant *tenant = sq_tenant_get(b->tenants, c->key->space);
	bool good = sq_outlet_count(c->outlet, sq_tenant_account(tenant));

	sq_tenant_unref(&tenant);
	if (!good) {
		c->retry_after_s = 1;
		sq_call_answer(c, SQ_VERDICT_BUSY, "its tenant has as many connections as it may");
	}
	return good;
}

/* Answers, if the new session's client id is above the limit.  A sidecar that knows the
 * limit asks for no such session. */
static bool
attach_id_too_long(struct sq_broker *b, struct sq_call *c)
{
	if (strlen(c->key->client) <= b->cfg.limits.client_id)
		return false;
	sq_count(b, SQ_M_REFUSED_BY_QUOTA, 1);
	SQ_WARN("session", "%s~%s: a client id of %zu bytes is refused, limits.client-id is %u",
	    c->key->space, c->key->workload, strlen(c->key->client), b->cfg.limits.client_id);
	attach_see(b, c, SQ_REFUSAL_QUOTA, SQ_VERDICT_OVER_LIMIT,
	    "the client id is above limits.client-id");
	sq_call_answer(c, SQ_VERDICT_OVER_LIMIT, "the client id is above limits.client-id");
	return true;
}

bool
sq_attach_within_limits(
    struct sq_broker *b, struct sq_call *c, const struct sq_session *s, const struct sq_attach *a)
{
	return attach_count_link(b, c) && (s != NULL || !attach_id_too_long(b, c)) &&
	    !attach_will_too_large(b, c, a);
}

bool
sq_attach_has_room(struct sq_broker *b, struct sq_call *c, const struct sq_session *s,
    const struct sq_attach *a, const struct sq_session *durable)
{
	if (s == NULL && durable == NULL && sq_memory_level() >= SQ_MEMORY_FILLED) {
		attach_no_memory(b, c);
		return false;
	}
	if (attach_would_hang(b, c, s, a, durable)) {
		attach_see(b, c, SQ_REFUSAL_STORE_FULL, SQ_VERDICT_NO_STORE,
		    "nothing can be stored at present: commits have been waiting for long");
		sq_call_answer(c, SQ_VERDICT_NO_STORE, "nothing can be stored at present");
		return false;
	}
	return !attach_store_full(b, c, s, a) && (s != NULL || attach_count(b, c, durable != NULL));
}
