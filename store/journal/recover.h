/* Recovery: reads a journal's directory, finds its segments and their order, and verifies every
 * record.  Changes nothing.  Private to store/.
 *
 * The rules are in docs/store.md, "Recovery". */
#ifndef SQ_STORE_JOURNAL_RECOVER_H
#define SQ_STORE_JOURNAL_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/list.h"
#include "store/journal/journal.h"

struct sq_recover_cfg {
	const char *dir;
	int dirfd;
	bool writable; /* open the files for writing */
	bool any_id;   /* the id is that of the segments */
	uint64_t id;
	uint64_t from;
	bool go_on;                   /* continues after a fault, to find all faults */
	sq_journal_replay_fn *replay; /* may be NULL */
	void *owner;
	void (*line)(void *arg, const char *text); /* each fault and, if go_on, each segment */
	void *arg;
};

struct sq_recovered {
	struct sq_list chain;    /* struct sq_segment, oldest first; those in use */
	struct sq_list rest;     /* all others */
	struct sq_segment *tail; /* the chain's last, if it may be written on; else NULL */
	uint64_t id;
	uint64_t last;      /* lsn, of the journal */
	uint64_t last_data; /* the last replayed record, else 'from' */
	uint64_t proven;    /* last lsn that is known to be durable */
	uint64_t next_no;   /* of a new segment */
	bool sealed;        /* the last record is a seal */
	unsigned faults;
};

/* Returns 0, SQ_EINVAL after a fault, SQ_EIO, or the result of 'replay'.  The caller frees the
 * result in each case. */
int sq_recover(const struct sq_recover_cfg *, struct sq_recovered *) SQ_MUST_CHECK;
void sq_recovered_fini(struct sq_recovered *);

#endif
