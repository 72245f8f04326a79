#include "broker/session/member_item.h"

#include "broker/group/group.h"
#include "broker/session/session.h"

static void
item_release(struct sq_sink *sink)
{
	struct sq_group *g = SQ_CONTAINER_OF(sink, struct sq_group, sink);

	sq_group_unref(&g);
}

struct sq_queue_ref
sq_member_item_from(struct sq_group *g)
{
	return (struct sq_queue_ref){g->id, &sq_group_ref(g)->sink, item_release};
}

void
sq_member_item_left(struct sq_session *s, const struct sq_queue_ref *from)
{
	if (sq_queue_ref_own(from))
		return;
	SQ_LIST_FOR_EACH(m, &s->members.list, struct sq_member, node) {
		if (&m->group->sink == from->sink && m->open > 0)
			m->open--;
	}
}
