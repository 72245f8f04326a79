#include "net/whereabouts.h"

#include <stdio.h>
#include <string.h>

#include "net/allowed.h"

static bool
whereabouts_allowed(const struct sq_whereabouts *w, const char *address)
{
	return address[0] != '\0' && sq_allowed_address(w->allowed, w->brokers, address);
}

bool
sq_whereabouts_old(const struct sq_whereabouts *w, const struct sq_where *t)
{
	return w->known && t->shared && t->store == w->store && t->epoch < w->epoch;
}

/* Takes in who owns.  True: that is news; a new owner is not away. */
static bool
whereabouts_epoch(struct sq_whereabouts *w, const struct sq_where *t)
{
	bool news = !w->known || w->store != t->store || w->epoch != t->epoch;

	if (news)
		w->away[0] = '\0';
	w->known = true;
	w->store = t->store;
	w->epoch = t->epoch;
	return news;
}

void
sq_whereabouts_standby(struct sq_whereabouts *w, const char *address)
{
	(void)snprintf(
	    w->standby, sizeof w->standby, "%s", whereabouts_allowed(w, address) ? address : "");
}

enum sq_whereabouts_verdict
sq_whereabouts_told(struct sq_whereabouts *w, const struct sq_where *t)
{
	if (!t->shared || !whereabouts_allowed(w, t->owner))
		return SQ_WHEREABOUTS_DENIED;
	if (sq_whereabouts_old(w, t))
		return SQ_WHEREABOUTS_OLD;
	if (whereabouts_epoch(w, t) || w->standby[0] == '\0')
		sq_whereabouts_standby(w, t->standby); /* else the owner knows better */
	if (strcmp(t->owner, w->away) == 0)
		return SQ_WHEREABOUTS_WAIT;
	if (w->hops >= SQ_WHEREABOUTS_HOPS) {
		w->hops = 0;
		w->owner[0] = '\0';
		return SQ_WHEREABOUTS_HOPS_ALL;
	}
	w->hops++;
	memcpy(w->owner, t->owner, sizeof w->owner);
	return SQ_WHEREABOUTS_FOLLOW;
}

bool
sq_whereabouts_heard(struct sq_whereabouts *w, const struct sq_where *t)
{
	if (!t->shared || !whereabouts_allowed(w, t->owner) || sq_whereabouts_old(w, t) ||
	    (w->known && w->store == t->store && w->epoch == t->epoch))
		return false;
	(void)whereabouts_epoch(w, t);
	w->hops = 0;
	memcpy(w->owner, t->owner, sizeof w->owner);
	sq_whereabouts_standby(w, t->standby);
	return true;
}

bool
sq_whereabouts_opened(struct sq_whereabouts *w, const struct sq_where *t)
{
	if (!t->shared) {
		w->hops = 0;
		return true;
	}
	if (sq_whereabouts_old(w, t))
		return false;
	(void)whereabouts_epoch(w, t);
	w->hops = 0;
	w->away[0] = '\0';
	(void)snprintf(
	    w->owner, sizeof w->owner, "%s", whereabouts_allowed(w, t->owner) ? t->owner : "");
	sq_whereabouts_standby(w, t->standby);
	return true;
}

bool
sq_whereabouts_moves(struct sq_whereabouts *w, const char *address)
{
	if (!whereabouts_allowed(w, address))
		return false;
	if (strcmp(w->owner, address) != 0)
		memcpy(w->away, w->owner, sizeof w->away);
	(void)snprintf(w->owner, sizeof w->owner, "%s", address);
	return true;
}

void
sq_whereabouts_forget(struct sq_whereabouts *w)
{
	w->known = false;
	w->away[0] = '\0';
}

void
sq_whereabouts_failed(struct sq_whereabouts *w, const char *address)
{
	if (w->known && w->away[0] == '\0' && strcmp(w->owner, address) == 0)
		(void)snprintf(w->away, sizeof w->away, "%s", address);
}

const char *
sq_whereabouts_word(enum sq_whereabouts_verdict v)
{
	static const char *const words[] = {
	    [SQ_WHEREABOUTS_FOLLOW] = "followed",
	    [SQ_WHEREABOUTS_WAIT] = "it is known to be away",
	    [SQ_WHEREABOUTS_OLD] = "ignored, an owner of later has been seen",
	    [SQ_WHEREABOUTS_DENIED] = "ignored, pool.brokers-allowed has no such host",
	    [SQ_WHEREABOUTS_HOPS_ALL] = "ignored, there were too many in a row",
	};

	return words[v];
}
