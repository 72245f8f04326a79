/* The layout of the delta, for delta.c, delta_start.c and delta_chunk.c.  Locks: all under the
 * delta's lock. */
#ifndef SQ_BROKER_ENGINE_EMBEDDED_DELTA_PRIV_H
#define SQ_BROKER_ENGINE_EMBEDDED_DELTA_PRIV_H

#include <pthread.h>

#include "broker/engine/embedded/delta.h"

struct sq_delta {
	pthread_mutex_t lock;
	struct sq_table *table;
	bool replaying;
	uint64_t lsn;           /* of the last record that was applied */
	uint64_t written;       /* the tables', as far as chunks were given back */
	struct sq_chunk *chunk; /* taken, and not given back; or NULL */
	uint64_t last_queue;
	struct sq_htab queues;   /* struct sq_kept_queue */
	struct sq_htab by_name;  /* at a start: queues that may be opened; its thread's */
	struct sq_htab by_seq;   /* struct sq_delta_item */
	struct sq_list items;    /* by lsn */
	uint64_t bytes;          /* bytes in the tables that items, */
	uint64_t record_bytes;   /* records, including those of a chunk, */
	uint64_t news_bytes;     /* and new queues will take in the tables */
	struct sq_list changes;  /* by lsn */
	struct sq_list deferred; /* settlements of items that were being written; the next chunk
	                          * takes all */
	size_t n_changes;        /* in 'changes' */
	size_t n_deleted;        /* number of records that are deletions */
	struct sq_htab by_key;   /* struct sq_delta_record */
	struct sq_list records;
	enum sq_table_format format;
	struct sq_chunk_queue *news; /* queues that were made or deleted */
	size_t n_news, cap_news;
};

struct sq_kept_queue *sq_kept_queue_new(struct sq_delta *, uint64_t id);
void sq_kept_queue_free(struct sq_delta *, struct sq_kept_queue *);
/* Notes that the queue was made or deleted, for the next checkpoint. */
void sq_kept_queue_is_news(struct sq_delta *, struct sq_kept_queue *);

void sq_delta_item_free(struct sq_delta *, struct sq_delta_item *);
/* The queue of an id, deleted ones included; NULL: unknown. */
struct sq_kept_queue *sq_kept_queue_find(struct sq_delta *, uint64_t id);
/* Makes a change that is in no list yet. */
struct sq_delta_change *
sq_delta_change_new(struct sq_delta *, uint64_t queue, uint64_t seq, uint16_t attempts);
void sq_delta_changes_free(struct sq_list *changes);
/* Frees a record that is in no list and no table. */
void sq_delta_record_free(struct sq_delta *, struct sq_delta_record *);
/* The record's value in the journal; NULL: none. */
struct sq_delta_record *sq_delta_record_find(struct sq_delta *, const struct sq_record_key *);
uint64_t sq_delta_key_hash(const struct sq_record_key *);

#endif
