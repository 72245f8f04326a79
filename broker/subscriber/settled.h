/* What was settled of late: a table of 128-bit names, each with a value, until its time is over or
 * there are too many; the oldest go first.
 *
 * Pure: the user makes entries durable, and says what time it is. */
#ifndef SQ_BROKER_SUBSCRIBER_SETTLED_H
#define SQ_BROKER_SUBSCRIBER_SETTLED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/htab.h"
#include "core/list.h"
#include "core/msg.h"

struct sq_settled_name {
	uint64_t hi, lo;
};

/* An entry; 'value' is empty for most. */
struct sq_settled_entry {
	struct sq_hnode node;
	struct sq_list by_age;
	struct sq_settled_name name;
	uint64_t expires_ms;
	bool stored; /* the user's: it has a record */
	struct sq_buf value;
};

/* The user embeds it, and sets the bounds. */
struct sq_settled {
	struct sq_htab by_name;
	struct sq_list by_age;
	size_t max;
	uint64_t bytes, max_bytes; /* of values */
};

void sq_settled_init(struct sq_settled *, size_t max, uint64_t max_bytes);
void sq_settled_fini(struct sq_settled *);
/* Moves all of it, with its bounds; 'from' is empty afterwards, and 'to' was. */
void sq_settled_move(struct sq_settled *to, struct sq_settled *from);
/* NULL: there is none. */
struct sq_settled_entry *sq_settled_find(const struct sq_settled *, const struct sq_settled_name *);
/* Adds an entry, whose name is not there, and takes over the value.  Entries of a start may come in
 * any order of their times. */
struct sq_settled_entry *sq_settled_add(
    struct sq_settled *, const struct sq_settled_name *, uint64_t expires_ms, struct sq_buf *value);
/* The entry that goes next: its time is over, or the bounds are exceeded; NULL: none does.  The
 * caller removes its record, and the entry by sq_settled_remove(). */
struct sq_settled_entry *sq_settled_over(const struct sq_settled *, uint64_t now_ms);
void sq_settled_remove(struct sq_settled *, struct sq_settled_entry *);

#endif
