/* Deeds: what an operator has the broker do with its sessions, queues and dead letters
 * (docs/view.md, "Deeds").
 *
 *   front --sq_deed_ask()--> worker that owns the thing: slice, commit, slice ... --done()--> front
 *
 * A deed goes in slices, each a bounded number of messages in a transaction of its own, so that no
 * loop stands on it, and ends when its time is over: what is left is another deed's, which goes on
 * where this one says.  What it counts is durable when done() comes.
 *
 * remove.c ends sessions, purge.c empties queues, redrive.c publishes dead letters again. */
#ifndef SQ_BROKER_DEED_DEED_H
#define SQ_BROKER_DEED_DEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/msg.h"
#include "core/task.h"
#include "proto/link/key.h"

struct sq_broker;
struct sq_deed;
struct sq_deed_txn;
struct sq_group;
struct sq_shard;

enum sq_deed_kind { SQ_DEED_REMOVE, SQ_DEED_PURGE, SQ_DEED_REDRIVE };

enum sq_deed_end {
	SQ_DEED_DONE,
	SQ_DEED_MISSING, /* there is no such thing where the caller may do it */
	SQ_DEED_DENIED,  /* the caller may not */
	SQ_DEED_REFUSED, /* the thing is not one to do that with: see 'why' */
	SQ_DEED_FAILED,  /* the store did not commit, or the broker ends: again later */
};

/* What a caller may do to a queue or a session. */
enum sq_deed_right {
	SQ_DEED_MAY,
	SQ_DEED_MAY_NOT,
	SQ_DEED_FOREIGN, /* it is in another's space, of which the caller learns nothing */
};

/* Where a deed goes on in a queue: what has 'from' as its number, or a greater one, up to 'upto';
 * 0: what waits when the deed begins. */
struct sq_deed_place {
	unsigned queue; /* of the two of dead letters, if none is named */
	uint64_t from, upto;
};

/* A deed under way; written by the files of this folder alone. */
struct sq_deed_work {
	struct sq_broker *broker;
	struct sq_shard *shard; /* of the worker that does it */
	struct sq_task task;
	void (*step)(struct sq_deed *);  /* the next slice */
	void (*found)(struct sq_deed *); /* the first one in a queue that is looked for */
	struct sq_deed_txn *txn;         /* being built */
	unsigned committing;             /* transactions */
	bool sliced, failed, begun;
	struct sq_group *group; /* with the queue, a reference; NULL: */
	struct sq_key key;      /* of the session whose queue it is */
	uint64_t incarnation;
	size_t letter; /* in 'letters' */
	bool unread;   /* some of them can't be read now */
};

struct sq_deed {
	enum sq_deed_kind kind;
	/* Of a session or a queue, as in the view.  NULL: both queues of dead letters of 'space'. */
	const char *name;
	const char *space;       /* of that space alone; NULL: of any */
	const uint64_t *letters; /* numbers of dead letters in the queue; NULL: all */
	size_t n_letters;
	/* Of dead letters: those of topics of that filter, of that reason alone; NULL: of any.  Where they
	 * go, in place of the topic that they had; NULL: there. */
	const char *filter, *reason, *to;
	uint64_t most;     /* messages at most */
	uint64_t until_ms; /* on sq_clock_ms(): no slice begins later */
	bool force;        /* also a sidecar's own session */
	bool bury;         /* messages of QoS 3 become dead letters, instead of nothing */
	struct sq_deed_place at;
	/* Whether the caller may do it to the queue or session that rules of acl name so.  Thread: that
	 * of sq_deed_ask(), or a worker. */
	enum sq_deed_right (*may)(void *arg, const char *space, struct sq_bytes object);
	void *arg;
	/* The deed is done.  Thread: a worker, or, for want of such a thing, sq_deed_ask()'s. */
	void (*done)(struct sq_deed *);

	/* The answer. */
	enum sq_deed_end end;
	const char *why; /* static; of one that is not done, or NULL */
	uint64_t n;      /* messages or sessions */
	uint64_t stayed; /* letters that nobody takes */
	bool more;       /* 'at' says where to go on */

	struct sq_deed_work work; /* the deed's own */
};

/* Has the deed done, whose texts and lists its caller keeps until then.  Thread: any but after
 * sq_broker_stop(). */
void sq_deed_ask(struct sq_broker *, struct sq_deed *);

#endif
