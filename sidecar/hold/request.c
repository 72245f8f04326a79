/* Requests of a hold, and the effect of their answers on its attachment; see post.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "sidecar/hold/hold_priv.h"
#include "sidecar/hold/refused.h"

enum { PAUSE_MS = 50, PAUSE_BUSY_MS = 500 };

void *
sq_hold_post_new(struct sq_hold *hold, size_t size, const char *what)
{
	size_t base = strlen(hold->path), tail = what != NULL ? strlen(what) + 25 : 1;
	struct sq_hold_post *p = sq_xmalloc(size + base + tail);
	char *path = (char *)p + size;

	memset(p, 0, size);
	memcpy(path, hold->path, base + 1);
	if (what != NULL)
		snprintf(path + base, tail, "/%s?epoch=%016llx", what,
		    (unsigned long long)hold->at.epoch);
	sq_list_init(&p->req.node);
	p->req.path = path;
	p->hold = hold;
	sq_list_init(&p->all);
	return p;
}

void
sq_hold_post_send(struct sq_hold_post *p, struct sq_uplink *link)
{
	struct sq_hold *hold = p->hold;

	assert(hold->state != SQ_HOLD_ENDED && link != NULL && sq_list_empty(&p->all));
	p->attach_seq = hold->at.seq;
	hold->requests++;
	sq_list_push_back(&hold->holds->posts, &p->all);
	sq_uplink_send(link, &p->req);
}

void
sq_hold_post_free(struct sq_hold_post *p)
{
	struct sq_hold *hold = p->hold;

	assert(hold->requests > 0);
	sq_list_remove(&p->all);
	hold->requests--;
	if (hold->state != SQ_HOLD_ENDED)
		sq_hold_wake(hold);
	else if (hold->requests == 0)
		sq_hold_bury(hold);
	free(p);
}

void
sq_hold_fail_posts(struct sq_holds *h)
{
	static const struct sq_answer lost;
	struct sq_hold_post *p;

	while ((p = SQ_LIST_FIRST(&h->posts, struct sq_hold_post, all)) != NULL)
		p->req.done(&p->req, &lost);
}

const char *
sq_hold_denied_text(const struct sq_hold *hold, const struct sq_answer *ans)
{
	static const char *const unknown[] = {
	    [SQ_CREDENTIAL_NONE] = "not authorized: the broker asks for a token or a certificate",
	    [SQ_CREDENTIAL_TOKEN] = "not authorized: the token is not good",
	    [SQ_CREDENTIAL_CERTIFICATE] = "not authorized: the certificate is not good",
	};
	static const char *const texts[] = {
	    [SQ_DENIED_NONE] = "not authorized: the session belongs to another identity",
	    [SQ_DENIED_SPACE] =
		"not authorized: the token is of another space (namespace) than identity.space",
	    [SQ_DENIED_POD] = "not authorized: the token is of another pod than identity.pod",
	    [SQ_DENIED_OWNER] = "not authorized: the session belongs to another identity",
	    [SQ_DENIED_WILL] = "not authorized: a rule of the broker denies the will",
	};
	enum sq_credential shown = sq_pool_credential(hold->holds->pool);

	if (ans->status == 401)
		return unknown[shown];
	return ans->denied == SQ_DENIED_SPACE && shown == SQ_CREDENTIAL_CERTIFICATE
	    ? "not authorized: the certificate is of another space than identity.space"
	    : texts[ans->denied];
}

bool
sq_hold_refused(struct sq_hold *hold, const struct sq_hold_post *p, const struct sq_answer *ans)
{
	if (ans->status == 409)
		sq_holds_count(hold->holds, SQ_M_CONFLICTS, 1);
	if (p->attach_seq != hold->at.seq || hold->state != SQ_HOLD_ATTACHED)
		return false;       /* of an older attachment: nothing follows from it */
	sq_hold_refused_anew(hold); /* the broker does not even say whether it takes something */
	switch (ans->status) {
	case 0: /* the stream alone, or its link, which will say so */
	case 429:
	case 503:
		sq_hold_post_at(hold,
		    sq_holds_now(hold->holds) +
			(ans->retry_after_ms != 0  ? ans->retry_after_ms
				: ans->status == 0 ? PAUSE_MS
						   : PAUSE_BUSY_MS));
		sq_hold_wake(hold);
		return true;
	case 409:
		if (ans->conflict == SQ_CONFLICT_GAP) {
			sq_hold_wake(hold);
			return true;
		}
		if (ans->conflict == SQ_CONFLICT_SUPERSEDED) {
			sq_hold_superseded(hold);
			return false;
		}
		break;
	case 403: /* not its own session: what it declares, or another link's token */
		SQ_WARN("session", "client %s: a request is %s", hold->client_id,
		    sq_hold_denied_text(hold, ans));
		sq_holds_count(hold->holds, SQ_M_DENIED, 1);
		break;
	case 400:
	case 404:
		sq_uplink_fail(hold->at.link, "it calls a request malformed");
		return true; /* the link's end follows */
	default:
		break;
	}
	sq_hold_again(hold, ans->retry_after_ms);
	return false;
}

/* --- for sources --- */

struct sq_uplink *
sq_hold_link(const struct sq_hold *hold)
{
	return hold->at.link;
}

bool
sq_hold_ended(const struct sq_hold *hold)
{
	return hold->state == SQ_HOLD_ENDED;
}

void
sq_hold_post_good(const struct sq_hold_post *p)
{
	if (p->attach_seq == p->hold->at.seq)
		sq_hold_good(p->hold);
}

bool
sq_hold_post_holds(const struct sq_hold_post *p)
{
	return p->attach_seq == p->hold->at.seq && p->hold->state == SQ_HOLD_ATTACHED;
}

void
sq_hold_post_again(const struct sq_hold_post *p)
{
	if (sq_hold_post_holds(p))
		sq_hold_again(p->hold, 0);
}
