/* The log of several brokers, behind the contract of store/log.h: a log that somebody else keeps, spoken
 * to by a driver (driver.h), with one owner at a time (rule.h).
 *
 * sq_log_shared_cfg is sq_log_cfg.shared.  open() reads nothing and does not block: the log follows from
 * then on, on a thread of its own, and tries for ever to reach what it follows.  claim() says that the
 * broker would own the log: it does so when it may.  close() of the owner commits what was appended, for
 * 'close_ms' at most, and lets go of the log, so that another broker owns it at once. */
#ifndef SQ_STORE_SHARED_LOG_SHARED_H
#define SQ_STORE_SHARED_LOG_SHARED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "store/log.h"
#include "store/shared/driver.h"

struct sq_histogram;

extern const struct sq_log_ops sq_log_shared;

struct sq_log_shared_cfg {
	const struct sq_shared_ops *driver;
	const void *driver_cfg; /* outlives the log */
	unsigned deadline_ms;   /* of each call; 0: 2000 */
	uint64_t isolated_ms;   /* 0: for ever */
	uint64_t close_ms;      /* 0: 1500 */
	/* Bytes behind which it does not claim while a broker that lives has more; 0: 64 MiB. */
	uint64_t max_behind;
	/* Bytes that are not released: sq_log_used()'s max.  An owner stalls there, a follower reads no
	 * more.  0: 1 GiB. */
	uint64_t max_used;
	/* A new segment begins after so many bytes, or after the time if it has a sixty-fourth of them; 0:
	 * 1 GiB, 1 h. */
	uint64_t segment_bytes, segment_ms;
	/* Bytes of the log after which the next snapshot is due, or twice its size; 0: 256 MiB. */
	uint64_t snapshot_bytes;
	/* This broker; 'applied', 'kept' and 'beats' are the log's to fill. */
	struct sq_shared_peer me;
	/* A change of what sq_log_shared_look() says beside figures.  Thread: the log's.  May be NULL. */
	void (*changed)(void *owner);
	void *owner;
};

/* What the log knows, for 421s, /readyz, metrics and the view. */
struct sq_log_shared_look {
	enum sq_log_role role;
	bool up;      /* the last call was answered */
	bool yielded; /* of an owner: the one before it had let go of the log, or there was none */
	bool caught_up; /* within 'max_behind' of the log's end that it knows, or it owns */
	bool diverged;  /* the log is not what it was: this broker never owns it again */
	uint64_t store, applied, last;
	uint64_t epoch; /* of the claim by which the owner became it, whose engine.boot that is */
	uint64_t
	    lag_ms; /* of a follower: age of the oldest record that it knows of and has not applied */
	char owner[SQ_SHARED_NAME], owner_link[SQ_SHARED_ADDRESS], owner_admin[SQ_SHARED_ADDRESS];
	/* The follower that has most, this broker excepted if it owns; "": none. */
	char standby[SQ_SHARED_NAME], standby_link[SQ_SHARED_ADDRESS];
	unsigned peers;       /* brokers whose announcements change, this one included */
	uint64_t peers_kept;  /* the least 'kept' of these */
	unsigned format;      /* the highest that all of these can read */
	unsigned copies;      /* of sq_shared_head */
	unsigned segments;    /* of it, too */
	uint64_t snapshot_ms; /* age of the newest snapshot: snapshots.h */
	int64_t clock_ms;     /* the owner's clock less this one's */
	char why[256];        /* why it is not up, diverged, fenced or does not claim; "" */
};
/* Thread: any. */
void sq_log_shared_look(const struct sq_log *, struct sq_log_shared_look *);

/* Counters, from the open. */
struct sq_log_shared_counts {
	uint64_t records, bytes; /* that this broker has written */
	uint64_t unknown_found,
	    unknown_not;   /* records whose end was not known, by what the claim showed */
	uint64_t warnings; /* doubtful answers */
	uint64_t claims_won, claims_lost, claims_again;
	uint64_t fenced, segments; /* begun by this broker */
};
void sq_log_shared_counts(const struct sq_log *, struct sq_log_shared_counts *);

#endif
