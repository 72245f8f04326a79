#include "store/shared/log_batch.h"

#include <assert.h>

#include "store/log.h"
#include "store/shared/record.h"

void
sq_log_batch_init(struct sq_log_batch *b)
{
	*b = (struct sq_log_batch){0};
	sq_list_init(&b->entries);
}

void
sq_log_batch_fini(struct sq_log_batch *b)
{
	assert(sq_log_batch_is_empty(b));
	sq_buf_fini(&b->record);
}

void
sq_log_batch_take(struct sq_log_batch *b, struct sq_list *pending, uint64_t now_us)
{
	size_t len = 0;

	assert(sq_log_batch_is_empty(b) && !sq_list_empty(pending));
	b->pressing = 0;
	while (!sq_list_empty(pending)) {
		struct sq_log_entry *e = SQ_LIST_FIRST(pending, struct sq_log_entry, node);

		if (len > 0 && len + e->data.len > SQ_LOG_BATCH_MAX)
			break;
		sq_list_remove(&e->node);
		sq_list_push_back(&b->entries, &e->node);
		b->pressing += !e->patient;
		len += e->data.len;
	}
	b->begun_us = now_us;
	b->unknown = false;
}

void
sq_log_batch_back(struct sq_log_batch *b, struct sq_list *pending)
{
	/* Behind the batch's entries, the queue is as it was. */
	sq_list_splice(&b->entries, pending);
	sq_list_splice(pending, &b->entries);
	b->unknown = false;
}

void
sq_log_batch_seal(
    struct sq_log_batch *b, uint64_t before, uint64_t lsn, unsigned format, uint32_t time_s)
{
	size_t len = SQ_SHARED_HEADER;

	assert(!sq_log_batch_is_empty(b));
	SQ_LIST_FOR_EACH(e, &b->entries, struct sq_log_entry, node)
		len += e->data.len;
	sq_buf_drain(&b->record, sq_buf_len(&b->record));
	sq_buf_trim(&b->record, 2 * SQ_LOG_BATCH_MAX);
	(void)sq_buf_reserve(&b->record, len);
	sq_buf_commit(&b->record, SQ_SHARED_HEADER);
	SQ_LIST_FOR_EACH(e, &b->entries, struct sq_log_entry, node)
		sq_buf_append(&b->record, e->data.p, e->data.len);
	b->lsn = lsn;
	b->chain = sq_shared_record_seal(&b->record, before, lsn, format, time_s);
}

uint64_t
sq_log_batch_done(struct sq_log_batch *b, struct sq_list *to, uint64_t now_us)
{
	uint64_t took_us = now_us - b->begun_us;

	sq_list_splice(to, &b->entries);
	b->unknown = false;
	b->took_us = b->took_us == 0 ? took_us : (b->took_us * 7 + took_us) / 8;
	return took_us;
}
