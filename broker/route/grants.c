#include <stdlib.h>
#include <string.h>

#include "broker/route/grants.h"
#include "broker/route/space_priv.h"
#include "core/mem.h"
#include "proto/topic/topic.h"

void
sq_space_grant(struct sq_space *reader, struct sq_space *from, struct sq_bytes filter)
{
	struct sq_grant *g = sq_xcalloc(1, sizeof *g + filter.len);

	memcpy(g->text, filter.p, filter.len);
	g->filter = (struct sq_bytes){g->text, filter.len};
	g->reader = reader;
	g->from = from;
	sq_list_push_back(&from->readers, &g->of_from);
	sq_list_push_back(&reader->reads, &g->of_reader);
}

static void
grant_free(struct sq_grant *g)
{
	sq_list_remove(&g->of_reader);
	sq_list_remove(&g->of_from);
	free(g);
}

void
sq_grants_fini(struct sq_space *s)
{
	SQ_LIST_FOR_EACH_SAFE(g, &s->reads, struct sq_grant, of_reader)
		grant_free(g);
	SQ_LIST_FOR_EACH_SAFE(g, &s->readers, struct sq_grant, of_from)
		grant_free(g);
}

/* Whether a grant before 'g' lets its reader have the topic already. */
static bool
grant_repeats(const struct sq_space *from, const struct sq_grant *g, struct sq_bytes topic)
{
	SQ_LIST_FOR_EACH(before, &from->readers, struct sq_grant, of_from) {
		if (before == g)
			return false;
		if (before->reader == g->reader && sq_topic_match(before->filter, topic))
			return true;
	}
	return false;
}

bool
sq_space_is_read(const struct sq_space *from)
{
	return !sq_list_empty(&from->readers);
}

struct sq_space *
sq_space_reader(const struct sq_space *from, struct sq_bytes topic, const struct sq_grant **at)
{
	const struct sq_list *node = *at == NULL ? from->readers.next : (*at)->of_from.next;

	for (; node != &from->readers; node = node->next) {
		const struct sq_grant *g = SQ_CONTAINER_OF(node, struct sq_grant, of_from);

		if (sq_topic_match(g->filter, topic) && !grant_repeats(from, g, topic)) {
			*at = g;
			return g->reader;
		}
	}
	return NULL;
}
