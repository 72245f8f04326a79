#include "broker/deed/find.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/acl/acl.h"
#include "broker/deed/work.h"
#include "broker/group/group.h"
#include "broker/publish/dead_queues.h"
#include "broker/session/session.h"
#include "core/mem.h"
#include "web/worker.h"

enum { SHOWN_MAX = 16 }; /* '~' in a name that can be a group's */

static const char missing[] = "there is no such queue where this caller may do that";

int
sq_deed_dead_name(const char *name, const char **space)
{
	static const char *const kinds[] = {
	    [SQ_DEAD_ASSURED] = "dead~", [SQ_DEAD_OTHERS] = "dead-others~"};

	for (int kind = 0; kind < SQ_DEAD_KINDS; kind++) {
		size_t len = strlen(kinds[kind]);

		if (strncmp(name, kinds[kind], len) != 0)
			continue;
		*space = name + len;
		return kind;
	}
	return -1;
}

static struct sq_group *
find_dead(struct sq_deed *d)
{
	const char *space = NULL;
	int kind = sq_deed_dead_name(d->name, &space);
	struct sq_tenant *tenant;
	struct sq_group *g;

	if (kind < 0 || strlen(space) > SQ_KEY_PART_MAX)
		return NULL;
	tenant = sq_tenant_get(d->work.broker->tenants, space);
	g = sq_dead_there(d->work.broker->dead, tenant, (enum sq_dead_kind)kind);
	sq_tenant_unref(&tenant);
	return g;
}

/* A group by its shown name, whose parts may have a '~' themselves: tries which of them stand
 * between parts. */
static struct sq_group *
find_group(struct sq_deed *d)
{
	size_t tilde[SHOWN_MAX], n = 0;
	struct sq_group *g = NULL;

	for (const char *p = d->name; (p = strchr(p, '~')) != NULL; p++) {
		if (n == SHOWN_MAX)
			return NULL;
		tilde[n++] = (size_t)(p - d->name);
	}
	if (strncmp(d->name, "share~", 6) != 0 && strncmp(d->name, "declared~", 9) != 0 &&
	    strncmp(d->name, "queue~", 6) != 0)
		return NULL;
	for (size_t i = 1; i < n && g == NULL; i++) {
		size_t at[SQ_GROUP_PARTS] = {tilde[0], tilde[i]};

		g = sq_group_find_shown(d->work.broker, d->name, at, 2);
		for (size_t k = i + 1; k < n && g == NULL; k++) {
			at[2] = tilde[k];
			g = sq_group_find_shown(d->work.broker, d->name, at, SQ_GROUP_PARTS);
		}
	}
	return g;
}

/* On a worker: a queue that no session has. */
static void
find_others(struct sq_deed *d, void (*step)(struct sq_deed *))
{
	static const char delayed[] = "delayed~";
	struct sq_group *g = find_group(d);
	struct sq_bytes name = sq_bytes_of(SQ_ACL_DEAD_QUEUE);
	enum sq_deed_right right = SQ_DEED_FOREIGN;

	if (g != NULL)
		name = sq_group_rule_name(g);
	else
		g = find_dead(d);
	if (g != NULL)
		right = sq_deed_may(d, sq_tenant_name(g->tenant), name);
	if (right == SQ_DEED_MAY) {
		d->work.group = g;
		sq_deed_go(d, &d->work.broker->shards[sq_worker_index(g->owner)], step);
		return;
	}
	sq_group_unref(&g);
	if (right == SQ_DEED_MAY_NOT)
		sq_deed_end(d, SQ_DEED_DENIED, NULL);
	else if (strncmp(d->name, delayed, sizeof delayed - 1) == 0)
		sq_deed_end(
		    d, SQ_DEED_REFUSED, "delayed messages wait for their time and not in a queue");
	else
		sq_deed_end(d, SQ_DEED_MISSING, missing);
}

static void
find_step(struct sq_deed *d)
{
	const struct sq_session *s = d->work.key.space[0] != '\0'
	    ? sq_session_find(d->work.shard, &d->work.key)
	    : NULL;

	enum sq_deed_right right = s != NULL && s->sink.queue != NULL ? sq_deed_may_session(d)
								      : SQ_DEED_FOREIGN;

	if (right == SQ_DEED_MAY_NOT) {
		sq_deed_end(d, SQ_DEED_DENIED, NULL);
		return;
	}
	if (right == SQ_DEED_MAY) {
		d->work.incarnation = s->id.incarnation;
		d->work.step = d->work.found;
		d->work.step(d);
		return;
	}
	find_others(d, d->work.found);
}

void
sq_deed_find_queue(struct sq_deed *d, void (*step)(struct sq_deed *))
{
	uint64_t hash = 0;

	d->work.found = step;
	if (sq_key_decode(sq_bytes_of(d->name), &d->work.key) == SQ_OK)
		hash = sq_key_hash(&d->work.key);
	else
		d->work.key = (struct sq_key){0};
	sq_deed_go(d, &d->work.broker->shards[hash % d->work.broker->n_shards], find_step);
}

struct sq_sink *
sq_deed_sink(struct sq_deed *d)
{
	struct sq_session *s;

	if (d->work.group != NULL)
		return &d->work.group->sink;
	s = sq_session_find(d->work.shard, &d->work.key);
	if (s == NULL || s->id.incarnation != d->work.incarnation || s->sink.queue == NULL)
		return NULL;
	return &s->sink;
}
