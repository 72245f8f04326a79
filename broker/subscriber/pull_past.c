#include "broker/subscriber/pull_past.h"

#include <stdlib.h>

#include "core/mem.h"

struct sq_pull_past *
sq_pull_past_new(struct sq_settled *requests, struct sq_settled *acked)
{
	struct sq_pull_past *past = sq_xcalloc(1, sizeof *past);

	sq_settled_move(&past->requests, requests);
	sq_settled_move(&past->acked, acked);
	return past;
}

void
sq_pull_past_give(struct sq_pull_past **pp, struct sq_settled *requests, struct sq_settled *acked)
{
	sq_settled_move(requests, &(*pp)->requests);
	sq_settled_move(acked, &(*pp)->acked);
	sq_pull_past_free(pp);
}

struct sq_record_key
sq_lease_record(uint64_t queue, uint64_t seq)
{
	return (struct sq_record_key){SQ_RECORD_LEASE, queue, seq};
}

struct sq_record_key
sq_request_record(const struct sq_settled_name *name)
{
	return (struct sq_record_key){SQ_RECORD_SETTLED, name->hi, name->lo};
}

void
sq_pull_past_free(struct sq_pull_past **pp)
{
	struct sq_pull_past *past = *pp;

	*pp = NULL;
	if (past == NULL)
		return;
	sq_settled_fini(&past->requests);
	sq_settled_fini(&past->acked);
	free(past);
}
