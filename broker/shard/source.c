#include "broker/shard/source.h"

#include <stdlib.h>
#include <string.h>

#include "broker/shard/tenant.h"
#include "core/mem.h"
#include "web/worker.h"

struct sq_source {
	struct sq_task task;
	struct sq_broker *broker;
	struct sq_tenant *tenant; /* a reference */
	bool durable;
	char name[]; /* as it is shown */
};

struct sq_source *
sq_source_new(struct sq_broker *b, struct sq_tenant *tenant, const char *name, bool durable)
{
	size_t len = strlen(name);
	struct sq_source *s = sq_xcalloc(1, sizeof *s + len + 1);

	s->broker = b;
	s->tenant = sq_tenant_ref(tenant);
	s->durable = durable;
	for (size_t i = 0; i < len; i++)
		s->name[i] = (unsigned char)name[i] == SQ_SOURCE_SEPARATOR ? '~' : name[i];
	while (len > 0 && s->name[len - 1] == '~') /* empty parts at the end */
		s->name[--len] = '\0';
	return s;
}

static void
source_free(struct sq_source *s)
{
	sq_tenant_unref(&s->tenant);
	free(s);
}

static void
source_freed(struct sq_task *t)
{
	source_free(SQ_CONTAINER_OF(t, struct sq_source, task));
}

void
sq_source_free(struct sq_source **sp, struct sq_worker *owner)
{
	struct sq_source *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	if (sq_worker_self() == NULL) { /* the workers have ended */
		source_free(s);
		return;
	}
	s->task.run = source_freed; /* the queue may be burying items at this moment */
	sq_worker_post(owner, &s->task);
}

struct sq_broker *
sq_source_broker(const struct sq_source *s)
{
	return s->broker;
}

const char *
sq_source_name(const struct sq_source *s)
{
	return s->name;
}

struct sq_tenant *
sq_source_tenant(const struct sq_source *s)
{
	return s->tenant;
}

bool
sq_source_durable(const struct sq_source *s)
{
	return s->durable;
}
