/* The contract of a driver: a log that somebody else keeps on several machines, as the shared log
 * (log_shared.h) uses it.
 *
 * What a driver promises (the design's L1 to L4; test/contract/test_shared_driver.c has each by name):
 *
 *  L1  append() and claim() are atomic and linearizable: each happens wholly, at one point between the
 *      call and its answer, or not at all; without an answer perhaps after the call, too.
 *  L2  An append happens only if the head's nonce is the caller's and its lsn is last + 1; a claim only
 *      if the head's nonce is the one that is expected, or already the caller's new one.
 *  L3  SQ_SHARED_DONE means: durable on all copies that could take over, with all that happened before.
 *  L4  A read gives records in order and without a gap; it may include what is not durable.
 *
 * A driver is one connection to one server of the log.  Calls block, each until the deadline of its
 * dial at most, or longer while megabytes are under way.  Thread: one at a time.  After SQ_SHARED_UNKNOWN only hang_up() may follow. */
#ifndef SQ_STORE_SHARED_DRIVER_H
#define SQ_STORE_SHARED_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/msg.h"

enum { SQ_SHARED_NAME = 64, SQ_SHARED_ADDRESS = 256 };

struct sq_shared; /* a connection; the driver's */

enum sq_shared_result {
	SQ_SHARED_DONE,
	SQ_SHARED_REFUSED, /* it did not happen: another nonce, or another lsn; 0 rows, a row of that key */
	SQ_SHARED_NOT_DONE, /* it did not happen for a reason that may pass: no room, no rights; error() says */
	SQ_SHARED_UNKNOWN, /* any other end: no answer, a lost connection, a doubtful answer */
};

/* What the log says of itself. */
struct sq_shared_head {
	uint64_t store; /* drawn when the log was made */
	uint64_t epoch; /* rises with each claim; 0: nobody has claimed it yet */
	uint64_t
	    boot; /* the epoch of the claim by which the owner became it: its later ones leave it */
	uint64_t nonce; /* of the owner; 0 before the first claim */
	uint64_t beats;
	uint64_t last;               /* lsn of the last record; 0: none */
	uint64_t first;              /* lsn of the oldest record that is there; last + 1: none is */
	uint64_t sure;               /* the owner said that records up to it are acknowledged */
	char holder[SQ_SHARED_NAME]; /* the owner's id; "": it has left the log to others */
	char link[SQ_SHARED_ADDRESS],
	    admin[SQ_SHARED_ADDRESS]; /* the owner's addresses; "": none */
	bool moved;                   /* to the files of 'holder': nobody may claim it any more */
	unsigned segments;            /* that are there; 0: not known */
	unsigned copies;              /* that confirm a commit, the first included; 0: not known */
};

/* A broker at the log. */
struct sq_shared_peer {
	char id[SQ_SHARED_NAME];      /* unique among brokers of one log */
	char link[SQ_SHARED_ADDRESS]; /* HOST:PORT where sidecars reach it */
	char admin[SQ_SHARED_ADDRESS];
	char version[SQ_SHARED_NAME];    /* of the program */
	unsigned format_min, format_max; /* of the records that it can read */
	uint64_t applied;                /* records that it has applied */
	uint64_t kept;  /* records that its tables have: it needs none up to here */
	uint64_t beats; /* rises with each announcement */
};

struct sq_shared_claim {
	uint64_t expected, nonce; /* neither 0 but 'expected' before the first claim */
	const char *holder, *link, *admin;
	bool again; /* of one that owns, and of whose ownership it is no new beginning */
	bool roll;  /* begins a new segment, too, unless the head's nonce is 'nonce' already */
};

struct sq_shared_snapshot {
	uint64_t n;   /* number; rises */
	uint64_t lsn; /* it has all records up to this one */
	uint64_t bytes;
	unsigned format;
	unsigned char sha256[32]; /* of its rows, one behind the other */
};

/* False ends the reading. */
typedef bool
sq_shared_record_fn(void *arg, uint64_t lsn, uint64_t epoch, uint64_t sure, struct sq_bytes data);
typedef void sq_shared_peer_fn(void *arg, const struct sq_shared_peer *);

struct sq_shared_ops {
	const char *name; /* "postgres", "fake" */

	/* Connects to the server of the log that can be written to, and proves that its settings are
	 * those that L3 needs.  'cfg' is the driver's.  Hosts of which a call has had no answer are
	 * tried last.  SQ_OK; SQ_EIO: unreachable, or refuses; SQ_EINVAL: it answers, but its settings
	 * will not do; each with a line in 'err' that has no secret. */
	int (*dial)(struct sq_shared **, const void *cfg, unsigned deadline_ms, struct sq_buf *err);
	/* Ends the connection at once, whatever is under way on it; NULL is allowed. */
	void (*hang_up)(struct sq_shared **);
	/* The reason for the last result that was not DONE, in the log's own words; a line. */
	const char *(*error)(const struct sq_shared *);
	/* Whether the last result, which was UNKNOWN, came from an answer that was doubtful, and not from
	 * none; for a counter.  May be NULL. */
	bool (*doubtful)(const struct sq_shared *);

	enum sq_shared_result (*append)(struct sq_shared *, uint64_t nonce, uint64_t epoch,
	    uint64_t lsn, uint64_t sure, struct sq_bytes data);
	/* DONE: 'head' is the new one; its 'last' was read in the claim's own transaction. */
	enum sq_shared_result (*claim)(
	    struct sq_shared *, const struct sq_shared_claim *, struct sq_shared_head *head);
	/* A sign of life of the owner.  'yields': its holder becomes "". */
	enum sq_shared_result (*beat)(
	    struct sq_shared *, uint64_t nonce, uint64_t sure, bool yields);
	/* Fills 'head', and then gives records above 'from' of about 'max_bytes', at least one if there
	 * is one; before a claim of this connection was DONE it may leave out those of which neither
	 * the head nor a record says that they are sure.  DONE or UNKNOWN. */
	enum sq_shared_result (*read)(struct sq_shared *, uint64_t from, size_t max_bytes,
	    struct sq_shared_head *head, sq_shared_record_fn *, void *arg);
	/* Writes the caller's row and gives those of all brokers, the caller's own included; of many, the 64
	 * that were written last. */
	enum sq_shared_result (*announce)(
	    struct sq_shared *, const struct sq_shared_peer *me, sq_shared_peer_fn *, void *arg);
	/* Removes segments all of whose records are up to 'lsn', never the last one. */
	enum sq_shared_result (*drop)(struct sq_shared *, uint64_t lsn);

	/* Snapshots: begin, put..., done; what was begun and is not done may be removed by the next
	 * begin().  done() keeps the newest two.  begin() gives 'n'. */
	enum sq_shared_result (*snap_begin)(struct sq_shared *, struct sq_shared_snapshot *);
	enum sq_shared_result (*snap_put)(
	    struct sq_shared *, uint64_t n, uint32_t row, struct sq_bytes data);
	enum sq_shared_result (*snap_done)(struct sq_shared *, const struct sq_shared_snapshot *);
	/* The newest that is done; n 0: there is none.  'older', if not NULL, gets the one before. */
	enum sq_shared_result (*snap_newest)(
	    struct sq_shared *, struct sq_shared_snapshot *, struct sq_shared_snapshot *older);
	/* Gives one row; NOT_DONE: there is none of that number. */
	enum sq_shared_result (*snap_get)(
	    struct sq_shared *, uint64_t n, uint32_t row, struct sq_buf *out);

	/* What people ask for, of a log that no broker owns; each may be NULL, and may be repeated after
	 * UNKNOWN.  A snapshot that was begun and put becomes the log: its store is 'store', its first
	 * record the one behind the snapshot, its epoch 'epoch' or higher, and nobody has owned it.
	 * REFUSED but to a log that nobody has owned, or that has moved to the files of that store. */
	enum sq_shared_result (*import)(
	    struct sq_shared *, uint64_t store, uint64_t epoch, const struct sq_shared_snapshot *);
	/* The log has moved to the files of the broker 'to'.  REFUSED but with the nonce of an owner that
	 * has let go of it. */
	enum sq_shared_result (*move)(struct sq_shared *, uint64_t nonce, const char *to);
	/* Claims get epochs above 'epoch'.  REFUSED if the head has changed. */
	enum sq_shared_result (*skip)(
	    struct sq_shared *, const struct sq_shared_head *, uint64_t epoch);
};

static inline bool
sq_shared_no_record(void *arg, uint64_t lsn, uint64_t epoch, uint64_t sure, struct sq_bytes data)
{
	(void)arg, (void)lsn, (void)epoch, (void)sure, (void)data;
	return false;
}

/* Reads the head alone, from above all records.  DONE or UNKNOWN. */
static inline enum sq_shared_result
sq_shared_read_head(
    const struct sq_shared_ops *ops, struct sq_shared *conn, struct sq_shared_head *head)
{
	return ops->read(conn, UINT64_C(1) << 62, 1, head, sq_shared_no_record, NULL);
}

/* What a module's one symbol, SQ_SHARED_MODULE_SYMBOL, is: its ops with the version of this contract, and
 * the sizes of what passes: a program refuses a module of another build whose structs are others. */
enum {
	SQ_SHARED_MODULE_VERSION = 1,
	SQ_SHARED_MODULE_LAYOUT = sizeof(struct sq_shared_ops) +
	    1000 * sizeof(struct sq_shared_head) +
	    1000000 *
		(sizeof(struct sq_shared_peer) + sizeof(struct sq_shared_claim) +
		    sizeof(struct sq_shared_snapshot)),
};
#define SQ_SHARED_MODULE_SYMBOL "sq_shared_module"
struct sq_shared_module {
	unsigned version, layout;
	const struct sq_shared_ops *ops;
	/* Appends what makes the log where it is kept, for people to run there ('whole': with the schema
	 * itself, not its tables alone); NULL: nothing has to be made. */
	void (*schema)(struct sq_buf *, const char *name, bool whole);
};

#endif
