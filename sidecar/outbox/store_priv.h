/* The parts of a disk outbox's store, for its two files: store_open.c (life) and store.c.
 *
 * From the bottom: entry, held, state, send; each has its own part, and the store composes
 * them: it gives entries to the journal, and writes a state where the sender asks for one. */
#ifndef SQ_SIDECAR_OUTBOX_STORE_PRIV_H
#define SQ_SIDECAR_OUTBOX_STORE_PRIV_H

#include <pthread.h>

#include "sidecar/outbox/held.h"
#include "sidecar/outbox/send.h"
#include "sidecar/outbox/store.h"
#include "store/journal/journal.h"

/* Written by the journal's thread, under the mutex. */
struct store_news {
	pthread_mutex_t mutex;
	struct sq_list synced; /* struct sq_log_entry */
	struct sq_buf stall;   /* why; empty: it goes on */
};

/* The entries that were appended: totals, and those that are not synced. */
struct store_tail {
	uint64_t next_seq, bytes;
	struct sq_list appended; /* struct sq_outbox_entry, not synced */
	size_t unsynced;
	uint64_t last_lsn; /* that the turns have seen */
};

/* Entries that are on disk only, and are read back. */
struct store_behind {
	bool is;     /* the next one is, at 'cursor' */
	bool broken; /* it can't be read */
	struct sq_journal_cursor cursor;
	struct sq_buf record;
};

/* The state that is written down. */
struct store_written {
	uint64_t lsn; /* of the last one that was replayed */
	bool flies;   /* it is not synced yet */
	bool dirty;   /* something has changed since */
	size_t since, size;
};

struct sq_outbox_store {
	struct sq_outbox_store_cfg cfg;
	struct sq_journal *journal;
	int lock;
	uint64_t id;          /* of the journal */
	uint64_t session_id;  /* of the session at the brokers */
	uint64_t opened_size; /* the journal has room for that */
	struct store_news news;
	struct sq_buf stalled; /* as of the last turn, NUL-terminated */
	struct store_tail tail;
	bool refused; /* a publisher waits for room */
	struct store_behind behind;
	struct sq_outbox_send send;
	struct store_written written;
	struct sq_outbox_held held;
};

/* store.c: writes the state down.  'gates': the sender waits for it. */
void sq_outbox_store_write(struct sq_outbox_store *, bool gates);

#endif
