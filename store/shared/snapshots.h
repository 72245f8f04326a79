/* Snapshots of the owner's durable state that the log keeps, so that its old segments can go: who
 * writes one, and when.
 *
 * One is due when the log has grown by more than 'bytes', and by more than twice the newest snapshot,
 * since that one was made.  The follower that the log's thread names writes it, at half of the rate at
 * which the log takes rows; without a follower the owner does, at a quarter, and so it does when three
 * times as much has come, and still no snapshot.  It is written on a thread and a connection of its own,
 * from one moment's rows (store/rows.h): records, checkpoints and beats go on.  It is given up when the
 * broker's role changes or its log closes, and when reading costs the store too much; what is there of
 * it is removed by the next one. */
#ifndef SQ_STORE_SHARED_SNAPSHOTS_H
#define SQ_STORE_SHARED_SNAPSHOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/rows.h"
#include "store/shared/driver.h"

enum {
	SQ_SNAPSHOTS_EVERY_MS = 60000, /* between looks at what snapshots there are, or earlier: */
	SQ_SNAPSHOTS_HURRY_MS = 1000,  /* when a quarter of 'bytes' has come; and after a failure */
	SQ_SNAPSHOTS_DEADLINE_MS = 10000, /* of each call of the driver */
};

enum sq_snapshots_turn {
	SQ_SNAPSHOTS_NONE,  /* another broker's, or none's: the log is not followed */
	SQ_SNAPSHOTS_SPARE, /* of an owner that has followers */
	SQ_SNAPSHOTS_OWNER, /* of an owner alone */
	SQ_SNAPSHOTS_FOLLOWER,
};

/* What the log's thread knows. */
struct sq_snapshots_news {
	enum sq_snapshots_turn turn;
	bool owns;
	uint64_t applied;        /* the last record */
	uint64_t records, bytes; /* that were applied since the open */
};

struct sq_snapshots_cfg {
	const struct sq_shared_ops *driver;
	const void *driver_cfg;
	const struct sq_rows_source *rows;
	void *rows_owner;
	uint64_t bytes;
};

struct sq_snapshots;

struct sq_snapshots *sq_snapshots_new(const struct sq_snapshots_cfg *);
/* Gives up what is being written, after a call that is under way; NULL is allowed. */
void sq_snapshots_free(struct sq_snapshots **);
/* Once a second or so.  Never blocks.  Thread: any, as of the others. */
void sq_snapshots_tell(struct sq_snapshots *, const struct sq_snapshots_news *);
/* Time since the newest snapshot was done, as far as this broker has seen it come; since the open, if it
 * has seen none. */
uint64_t sq_snapshots_age_ms(struct sq_snapshots *);

/* Bytes after which the next one is due, after one of 'bytes'. */
uint64_t sq_snapshots_due(uint64_t least, uint64_t bytes);

#endif
