/* The journal's state, for the files that share it: journal.c (open, close and
 * what callers do), journal_write.c (the writer thread), journal_make.c (the
 * thread that makes segments), journal_read.c. */
#ifndef SQ_STORE_JOURNAL_JOURNAL_PRIV_H
#define SQ_STORE_JOURNAL_JOURNAL_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/list.h"
#include "store/journal/journal.h"
#include "store/journal/segment.h"

/* Of the thread that makes segments; under the lock. */
struct sq_journal_make {
	bool busy;                /* it is at a file, without the lock */
	bool stop;                /* the writer has ended */
	struct sq_list dead;      /* segments of no use any more, oldest first */
	struct sq_segment *spare; /* ready to be written */
	uint64_t want;            /* bytes that the writer needs in the next segment; 0: any */
	int error;                /* why none could be made; 0: go on trying */
	uint64_t next_no;
};

/* The writer's own; no lock. */
struct sq_journal_write {
	struct sq_segment *active; /* the chain's last, or NULL: a new one is due */
	struct sq_segment *doubt;  /* its sync failed after committed() was told of records in it */
	uint64_t synced;           /* up to this lsn all is durable */
	uint64_t synced_ms;        /* when a sync was done */
	uint64_t sync_us;          /* average time of the last syncs */
	uint64_t written_ms;       /* when a record was written */
	bool sealed;               /* the last record is a seal, or there is none */
	bool stalled;
	char why[192]; /* of a failure */
	struct sq_buf stage;
};

struct sq_journal {
	struct sq_journal_cfg cfg;
	int dirfd;
	pthread_t writer, maker;
	_Atomic uint64_t last; /* the last lsn whose entries committed() was told of */
	struct sq_journal_write write;

	pthread_mutex_t lock;   /* of the following */
	pthread_cond_t work;    /* for the writer */
	pthread_cond_t chores;  /* for the maker */
	struct sq_list pending; /* struct sq_log_entry */
	size_t pressing;        /* of them: those that are not patient */
	bool idle;              /* the writer waits for entries */
	bool wanting;           /* the writer waits for a segment or for a release */
	bool closing;
	struct sq_list chain; /* struct sq_segment, oldest first */
	unsigned chain_len;
	uint64_t written; /* the last lsn that can be read, seals too */
	uint64_t released;
	struct sq_journal_make make;
};

enum { SQ_JOURNAL_SEAL_MS = 100, SQ_JOURNAL_RETRY_MS = 250 };

void *sq_journal_writer(void *journal);
void *sq_journal_maker(void *journal);

/* With the lock held. */
void sq_journal_reap(struct sq_journal *); /* released segments from the chain to the dead */
static inline bool
sq_segment_is_empty(const struct sq_segment *s)
{
	return s->last < s->first;
}

#endif
