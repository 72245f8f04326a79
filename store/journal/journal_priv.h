/* The layout of the journal, for its files: journal.c (open, close and calls of the owner),
 * journal_write.c (the writer thread), journal_make.c (the thread that makes segments),
 * journal_read.c. */
#ifndef SQ_STORE_JOURNAL_JOURNAL_PRIV_H
#define SQ_STORE_JOURNAL_JOURNAL_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/list.h"
#include "store/journal/journal.h"
#include "store/journal/segment.h"

/* State of the thread that makes segments; under the lock. */
struct sq_journal_make {
	bool busy;                /* it works on a file, without the lock */
	bool stop;                /* the writer has ended */
	struct sq_list dead;      /* segments that are not needed, oldest first */
	struct sq_segment *spare; /* ready to be written */
	uint64_t want;            /* bytes that the writer needs in the next segment; 0: any */
	int error;                /* errno of a failed attempt; 0: none */
	uint64_t next_no;
};

/* State of the writer thread alone; no lock. */
struct sq_journal_write {
	struct sq_segment *active; /* the last of the chain; NULL: a new one is due */
	struct sq_segment *doubt;  /* its sync failed after committed() had got records in it */
	uint64_t synced;           /* last lsn that is durable */
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
	_Atomic uint64_t last;  /* last lsn whose entries committed() has got */
	_Atomic uint64_t since; /* sq_clock_ms() when the writer began what it is at; 0: it waits */
	struct sq_journal_write write;

	pthread_mutex_t lock;   /* of the members below */
	pthread_cond_t work;    /* for the writer */
	pthread_cond_t chores;  /* for the maker */
	struct sq_list pending; /* struct sq_log_entry */
	size_t pressing;        /* number of pending entries that are not patient */
	bool idle;              /* the writer waits for entries */
	bool wanting;           /* the writer waits for a segment or for a release */
	bool closing;
	struct sq_list chain; /* struct sq_segment, oldest first */
	unsigned chain_len;
	uint64_t written; /* last lsn that can be read, seals included */
	uint64_t released;
	struct sq_journal_make make;
};

enum { SQ_JOURNAL_SEAL_MS = 100, SQ_JOURNAL_RETRY_MS = 250 };

void *sq_journal_writer(void *journal);
void *sq_journal_maker(void *journal);

/* Locks: held. */
void sq_journal_reap(struct sq_journal *); /* moves released segments from the chain to the dead */
static inline bool
sq_segment_is_empty(const struct sq_segment *s)
{
	return s->last < s->first;
}

#endif
