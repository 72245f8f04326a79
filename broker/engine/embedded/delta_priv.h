/* What delta.c, delta_start.c and delta_chunk.c share; under the lock. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_DELTA_PRIV_H
#define SQ_BROKER_ENGINE_EMBEDDED_DELTA_PRIV_H

#include <pthread.h>

#include "broker/engine/embedded/delta.h"

struct sq_delta {
	pthread_mutex_t lock;
	struct sq_table *table;
	bool replaying;
	uint64_t lsn; /* of the last record that was applied */
	uint64_t last_queue;
	struct sq_htab queues;   /* struct sq_kept_queue */
	struct sq_htab by_name;  /* at a start: those that wait to be opened */
	struct sq_htab by_seq;   /* struct sq_delta_item */
	struct sq_list items;    /* by lsn */
	uint64_t bytes;          /* that items, */
	uint64_t record_bytes;   /* records, those of a chunk too, */
	uint64_t news_bytes;     /* and new queues will take in the tables */
	struct sq_list changes;  /* by lsn */
	struct sq_list deferred; /* settlements of items that were being written: all are taken */
	size_t n_changes;        /* in 'changes' */
	size_t n_deleted;        /* of the records: those that are */
	struct sq_htab by_key;   /* struct sq_delta_record */
	struct sq_list records;
	struct sq_chunk_queue *news; /* queues that were opened or deleted */
	size_t n_news, cap_news;
};

struct sq_kept_queue *sq_kept_queue_new(struct sq_delta *, uint64_t id);
void sq_kept_queue_free(struct sq_delta *, struct sq_kept_queue *);
/* A checkpoint shall look at it. */
void sq_kept_queue_is_news(struct sq_delta *, struct sq_kept_queue *);

void sq_delta_item_free(struct sq_delta *, struct sq_delta_item *);
/* A change that is in no list yet. */
struct sq_delta_change *
sq_delta_change_new(struct sq_delta *, uint64_t queue, uint64_t seq, uint16_t attempts);
void sq_delta_changes_free(struct sq_list *changes);
/* A record that is in no list and no table any more. */
void sq_delta_record_free(struct sq_delta *, struct sq_delta_record *);
/* The record as the journal has it; NULL: it has none. */
struct sq_delta_record *sq_delta_record_find(struct sq_delta *, const struct sq_record_key *);
uint64_t sq_delta_key_hash(const struct sq_record_key *);

#endif
