/* The layout of a disk outbox's store, for its two files: store_open.c (life) and store.c.
 * store_open.c writes all of it while the store is opened and closed, when no turn runs; in between
 * store.c does, but for 'news' and 'session_id', which store_open.c writes throughout.
 *
 * From the bottom: entry, held, state, send, each with a struct of its own.  The store composes
 * them: it gives entries to the journal, and writes a state when the sender asks for one. */
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
	struct sq_buf stall;   /* the reason; empty: the journal works */
};

/* The appended entries: totals, and those that are not synced. */
struct store_tail {
	uint64_t next_seq, bytes;
	struct sq_list appended; /* struct sq_outbox_entry, not synced */
	size_t unsynced;
	uint64_t last_lsn; /* last record that a turn has processed */
};

/* Entries that are on disk only, to be read back. */
struct store_behind {
	bool is;     /* there are such entries, from 'cursor' on */
	bool broken; /* reading them failed */
	struct sq_journal_cursor cursor;
	struct sq_buf record;
};

/* The last state that was written. */
struct store_written {
	uint64_t lsn; /* of the last replayed state */
	bool flies;   /* being synced */
	bool dirty;   /* the state has changed since */
	size_t since, size;
};

struct sq_outbox_store {
	struct sq_outbox_store_cfg cfg;
	struct sq_journal *journal;
	int lock;
	uint64_t id;          /* of the journal */
	uint64_t session_id;  /* of the session at the brokers */
	uint64_t opened_size; /* bytes for which the journal has room */
	struct store_news news;
	struct sq_buf stalled; /* at the last turn, NUL-terminated */
	struct store_tail tail;
	bool refused; /* a publisher waits for room */
	struct store_behind behind;
	struct sq_outbox_send send;
	struct store_written written;
	struct sq_outbox_held held;
};

/* Writes the state (store.c).  'gates': the sender waits for its sync. */
void sq_outbox_store_write(struct sq_outbox_store *, bool gates);

#endif
