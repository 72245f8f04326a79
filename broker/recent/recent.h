/* The last things of a kind that somebody may ask about: a bounded list of texts, of which the
 * oldest leave for new ones.  Equal things are one entry, which counts them.
 *
 * One thread at a time: each worker has lists of its own. */
#ifndef SQ_BROKER_RECENT_RECENT_H
#define SQ_BROKER_RECENT_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/view/table.h"
#include "core/msg.h"

enum {
	SQ_RECENT_TEXTS = 9,
	SQ_RECENT_MAX = 256,      /* entries of a list */
	SQ_RECENT_OF_MAX = 64,    /* of these, entries of the same first two texts */
	SQ_RECENT_TEXT_MAX = 512, /* bytes of a text, which is cut at a character */
};

struct sq_recent;

struct sq_recent_entry {
	uint64_t id;       /* rises; never 0 */
	uint64_t n;        /* how often */
	uint64_t first_ms; /* on the wall clock */
	uint64_t last_ms;
	uint64_t filled_ms; /* when the texts came */
	uint64_t number;    /* of the last one */
	/* Of the last one, or of one within a second before it; 'p' NULL: none. */
	struct sq_bytes texts[SQ_RECENT_TEXTS];
	unsigned char *store; /* theirs */
};

struct sq_recent *sq_recent_new(void);
void sq_recent_free(struct sq_recent **);
/* Notes a thing of SQ_RECENT_TEXTS texts, which are copied.  It is the same as an earlier one whose
 * first 'n_same' texts are equal; 0: none is the same. */
void
sq_recent_note(struct sq_recent *, const struct sq_bytes *texts, unsigned n_same, uint64_t number);
/* A walk over the list: 'row' is called for each entry in its turn, and makes a row of it or none. */
bool sq_recent_walk(const struct sq_recent *, struct sq_view_slice *,
    void (*row)(struct sq_view_slice *, const struct sq_recent_entry *));
/* The entry with the least id that is 'id' or above; NULL: there is none. */
const struct sq_recent_entry *sq_recent_seek(const struct sq_recent *, uint64_t id);

#endif
