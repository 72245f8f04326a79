/* The record that is being written: its entries, taken from the queue, and its bytes.  No lock. */
#ifndef SQ_STORE_SHARED_LOG_BATCH_H
#define SQ_STORE_SHARED_LOG_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/list.h"
#include "core/msg.h"

/* Bytes of entries in one record; a single entry may be longer. */
enum { SQ_LOG_BATCH_MAX = 256 << 10 };

struct sq_log_batch {
	struct sq_list entries; /* struct sq_log_entry */
	uint64_t lsn, chain;    /* of the last seal */
	uint64_t begun_us;      /* when they were taken */
	uint64_t took_us;       /* a commit, on average, from then to its answer */
	unsigned pressing;      /* entries that are not patient */
	bool unknown;           /* it was sent, and what became of it was not known */
	struct sq_buf record;
};

void sq_log_batch_init(struct sq_log_batch *);
void sq_log_batch_fini(struct sq_log_batch *);
static inline bool
sq_log_batch_is_empty(const struct sq_log_batch *b)
{
	return sq_list_empty(&b->entries);
}
/* Takes the first entries of 'pending', which is not empty, into an empty batch. */
void sq_log_batch_take(struct sq_log_batch *, struct sq_list *pending, uint64_t now_us);
/* Gives them back, to the head of 'pending'. */
void sq_log_batch_back(struct sq_log_batch *, struct sq_list *pending);
/* Writes the record's bytes, behind the chain 'before'. */
void sq_log_batch_seal(
    struct sq_log_batch *, uint64_t before, uint64_t lsn, unsigned format, uint32_t time_s);
static inline struct sq_bytes
sq_log_batch_bytes(const struct sq_log_batch *b)
{
	return (struct sq_bytes){sq_buf_data(&b->record), sq_buf_len(&b->record)};
}
/* The record is committed: its entries go to 'to', and the batch is empty.  Returns how long it took. */
uint64_t sq_log_batch_done(struct sq_log_batch *, struct sq_list *to, uint64_t now_us);

#endif
