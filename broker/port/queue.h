/* Calls about named queues (SQ_CALL_QUEUE): what a front asks, and what the broker answers.
 *
 * They are carried out on the worker that owns the queue, wherever they are handed over.  A RECEIVE
 * waits there as long as it asks to; each is answered exactly once.  All that an input points to is
 * the front's until done(). */
#ifndef SQ_BROKER_PORT_QUEUE_H
#define SQ_BROKER_PORT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/msg.h"
#include "proto/declaration/declaration.h"

struct sq_call;
struct sq_identity;
struct sq_published;
struct sq_publish_want;

enum sq_queue_op {
	SQ_QUEUE_RECEIVE,
	SQ_QUEUE_SETTLE,
	SQ_QUEUE_DECLARE, /* PUT: makes it, or changes it */
	SQ_QUEUE_PATCH,   /* changes what it names of one that is there; becomes a DECLARE */
	SQ_QUEUE_GET,
	SQ_QUEUE_LIST, /* of a space, by name; on the caller's worker */
	SQ_QUEUE_DELETE,
	SQ_QUEUE_BIND,
	SQ_QUEUE_UNBIND,
	SQ_QUEUE_PURGE,
	SQ_QUEUE_PAUSE,
	SQ_QUEUE_RESUME,
	SQ_QUEUE_PEEK,
	SQ_QUEUE_TEST,    /* has an event posted to the URL of its push */
	SQ_QUEUE_LETTERS, /* the dead letters of a space, as PEEK; on the caller's worker */
};

enum {
	SQ_LEASE_TEXT_MAX = 64, /* of a lease's text, with a NUL */
	SQ_RECEIVE_MAX = 1000,  /* messages of one RECEIVE, entries and publishes of one SETTLE */
	SQ_PEEK_MAX = 100,
	SQ_QUEUE_PAGE = 100, /* queues of one LIST */
	SQ_LEASE_MIN_MS = 1000,
	SQ_LEASE_MAX_MS = 12 * 3600 * 1000, /* of a delay, too */
};

struct sq_queue_receive {
	uint32_t max;       /* messages, 1 to SQ_RECEIVE_MAX */
	uint64_t max_bytes; /* of images; the first message may have more */
	uint64_t wait_ms;   /* 0: answers at once */
	uint64_t lease_ms;  /* 0: the queue's */
	bool at_once;       /* ack "receive": what is handed out is settled */
	/* Whether the caller is still there; asked before messages are handed to it, so that one that has
	 * left leases none.  NULL: it is.  Thread: any. */
	bool (*alive)(struct sq_call *);
};

enum sq_lease_end { SQ_LEASE_ACK, SQ_LEASE_NACK, SQ_LEASE_REJECT, SQ_LEASE_EXTEND };

struct sq_lease_entry {
	struct sq_bytes lease; /* text */
	enum sq_lease_end end;
	bool untried; /* of a NACK: not an attempt */
	bool timed;   /* of a NACK: 'ms' counts in place of the queue's retry */
	uint64_t ms;  /* NACK: until it is free again; EXTEND: from now on */
};

struct sq_queue_settle {
	const struct sq_lease_entry *entries;
	uint16_t n;
	/* Messages that are published in the same transaction; with one, all of it is done or nothing, and
	 * the same again, by 'print', is answered as the first time. */
	const struct sq_msg *msgs;
	const struct sq_publish_want *wants;
	uint16_t n_msgs;
	uint64_t print; /* of the whole request: equal for equal ones */
};

/* If-Match that is no revision: any that is there (*), or none at all. */
#define SQ_REVISION_ANY (UINT64_MAX - 1)
#define SQ_REVISION_NONE UINT64_MAX

struct sq_queue_declare {
	const struct sq_declaration *decl; /* of PATCH: the broker's */
	struct sq_bytes patch;             /* PATCH: JSON for sq_declaration_read_json() */
	bool must_be_new;                  /* If-None-Match: * */
	uint64_t if_revision;              /* If-Match; 0: whether it is there or not */
};

struct sq_queue_bind {
	struct sq_declared_binding binding; /* of UNBIND its id alone */
};

struct sq_call_queue {
	const struct sq_identity *who;
	const char *space; /* of the tenant; NULL: the caller's own, of one */
	const char
	    *name; /* NULL: of the queue that the first lease of a SETTLE is of; LIST, LETTERS */
	enum sq_queue_op op;
	unsigned worker; /* of LIST, LETTERS, and of what is found nowhere */
	union {
		struct sq_queue_receive receive;
		struct sq_queue_settle settle;
		struct sq_queue_declare declare;
		struct sq_queue_bind bind;
		struct {
			bool with_messages;
			uint64_t if_revision;
		} remove;
		struct {
			uint64_t after; /* seq, or 0 */
			uint32_t max;   /* to SQ_PEEK_MAX */
		} peek;
		struct {
			unsigned queue; /* of the two, the first that is looked at, */
			uint64_t from;  /* there from that seq on */
			uint32_t max;   /* to SQ_PEEK_MAX */
		} letters;
		const char *after; /* LIST: names behind it; NULL: from the start */
	} in;
};

/* What became of the call as a whole. */
enum sq_queue_how {
	SQ_QUEUE_DONE,
	SQ_QUEUE_CREATED,  /* DECLARE, BIND: it is new */
	SQ_QUEUE_REPLAYED, /* SETTLE with messages: was done before; the answer of then */
	SQ_QUEUE_PARTLY,   /* SETTLE without messages: some leases are lost, see 'lost' */
	SQ_QUEUE_MISSING,  /* no such queue, binding */
	SQ_QUEUE_DENIED,   /* by rules; 'detail' says verb and object */
	SQ_QUEUE_INVALID,  /* what is asked for can't be; 'detail' */
	SQ_QUEUE_CONFLICT, /* it would lose messages, or contradicts what is there; 'detail' */
	SQ_QUEUE_NOT_EMPTY,
	SQ_QUEUE_IN_FILE,     /* a file declares it, which the API can't change */
	SQ_QUEUE_CHANGED,     /* If-Match, If-None-Match */
	SQ_QUEUE_LOST,        /* SETTLE: the lease 'culprit' does not hold; nothing was done */
	SQ_QUEUE_KEY_REUSED,  /* SETTLE: those leases were settled with another request */
	SQ_QUEUE_UNPUBLISHED, /* SETTLE: message 'culprit' is refused as published[culprit] says */
	SQ_QUEUE_TOO_LARGE,   /* SETTLE: more than one transaction holds */
	SQ_QUEUE_CROWDED,     /* RECEIVE: too many wait, or pull.max-leases is reached; 'detail' */
	SQ_QUEUE_NO_ROOM,     /* DECLARE: a share, the store or memory has no room; 'detail' */
};

/* A message that RECEIVE, PEEK or LETTERS has brought. */
struct sq_pulled {
	struct sq_msg msg;             /* a reference, the front's to give back */
	char lease[SQ_LEASE_TEXT_MAX]; /* "": none */
	unsigned char id[16];          /* as struct sq_published has it */
	uint64_t seq;
	uint64_t enqueued_ms, expires_ms; /* since 1970; 0: not known, never */
	uint32_t attempt;                 /* from 1 on */
	uint8_t qos;                      /* 0 to 3, as it was published */
	/* Of a dead letter: its queue is this, '~', and the space; static.  NULL: it is none. */
	const char *dead;
};

/* What came of a TEST; 'detail' says why it failed, or is empty. */
struct sq_queue_tested {
	bool taken;      /* a message would have been acknowledged */
	unsigned status; /* 0: no answer came */
	uint64_t took_us;
	struct sq_buf type; /* the answer's content type, at most 256 bytes; empty: none */
};

struct sq_queue_info {
	char *name;
	struct sq_declaration decl;
	char *pause_why;    /* NULL: none was given */
	struct sq_buf user; /* members of a JSON object, or empty: what its push says */
	uint64_t revision;  /* never 0; another one after each change */
	bool in_file, paused;
	uint64_t ready, ready_bytes, leased, parked,
	    dead;                  /* parked: waits for a retry, or blocks */
	uint64_t oldest_ms;        /* age of the oldest that waits; 0: none, or not known */
	uint32_t members, pollers; /* MQTT clients; requests that wait */
};

struct sq_queue_out {
	enum sq_queue_how how;
	struct sq_buf detail; /* for people, UTF-8 without NUL at its end; may be empty */
	/* RECEIVE, PEEK, LETTERS: an array of struct sq_pulled in 'pulled'. */
	struct sq_buf pulled;
	/* SETTLE: for each entry whether its lease was lost. */
	struct sq_buf lost;
	uint16_t culprit;
	const struct sq_published *published; /* of n_msgs; views into the call's 'store' */
	/* DECLARE, GET, BIND, UNBIND: one; LIST: up to SQ_QUEUE_PAGE.  An array of struct sq_queue_info. */
	struct sq_buf infos;
	bool more; /* LIST, PEEK, LETTERS: */
	struct {
		unsigned queue;
		uint64_t from;
	} next;     /* of LETTERS: where the next one goes on */
	uint64_t n; /* PURGE: messages */
	struct sq_queue_tested tested;
};

static inline size_t
sq_queue_out_pulled(const struct sq_queue_out *o)
{
	return sq_buf_len(&o->pulled) / sizeof(struct sq_pulled);
}

static inline size_t
sq_queue_out_infos(const struct sq_queue_out *o)
{
	return sq_buf_len(&o->infos) / sizeof(struct sq_queue_info);
}

/* Frees what an answer has, with the references to its messages. */
void sq_queue_out_fini(struct sq_queue_out *);

#endif
