/* Refusals of messages, with texts for the publisher, the log and the view.
 *
 * The text is made where the refusal is decided, and travels as a note beside the outcomes of the
 * batch (docs/link.md, "Notes"); an accepted message costs nothing here.  Refusals are counted by
 * reason, and logged at a rate of each queue's own, or of each session's own if no queue is the
 * reason.  On the worker of the publish. */
#ifndef SQ_BROKER_PUBLISH_REFUSED_H
#define SQ_BROKER_PUBLISH_REFUSED_H

#include "broker/auth/identity/identity.h"
#include "broker/publish/look.h"
#include "broker/publish/options.h"
#include "broker/shard/shard.h"
#include "proto/link/notes.h"

#define SQ_REFUSED_STORE \
	"the broker's store takes nothing new at the moment (store.max-size, or its disk)"

/* The refused publisher. */
struct sq_refused_of {
	struct sq_broker *broker;
	const char *space;                  /* the publisher's tenant */
	const char *name;                   /* for the log */
	const struct sq_identity *identity; /* for the log; NULL: unknown */
	_Atomic uint64_t *quiet_until_ms;   /* no line is logged until then */
};

/* The refusal of the message that is being routed; starts zeroed, and is reused for the next
 * message. */
struct sq_refused {
	uint8_t refusal;             /* enum sq_refusal */
	const struct sq_sink *queue; /* the queue that refuses; NULL: none */
	struct sq_bytes topic; /* what is refused: the caller's, who sets it before it tells */
	struct sq_bytes props; /* of a message: the same; empty: none */
	bool nobody;           /* sq_refused_nobody() has been called */
	struct sq_buf text;
};

/* Whether the refusal is one of room that comes again by itself: the message may be taken later. */
bool sq_refused_waits(const struct sq_refused *);

/* Each of these sets the refusal, and returns its reason code. */
uint8_t sq_refused_say(struct sq_refused *, uint8_t code, enum sq_refusal, const char *fmt, ...)
    SQ_PRINTF(4, 5);
/* An option of the message is wrong, or unknown.  An unknown one may be accepted: it is counted and
 * logged then, and the code is 0. */
uint8_t sq_refused_options(
    struct sq_refused *, const struct sq_refused_of *, const struct sq_publish_options *);
/* A limit of the configuration is reached. */
enum sq_limit {
	SQ_LIMIT_PACKET,
	SQ_LIMIT_LEVELS,
	SQ_LIMIT_RETAINED,
	SQ_LIMIT_DELAY,
	SQ_LIMIT_DELAYED,
	SQ_LIMIT_KEYS,
	SQ_LIMIT_DEAD_LETTERS,
	SQ_LIMIT_MEMORY,
};
uint8_t sq_refused_limit(struct sq_refused *, const struct sq_broker *, enum sq_limit);
/* The store accepts nothing new: see sq_engine_full(). */
uint8_t sq_refused_store(struct sq_refused *);
/* A limit, or the account's share of its total, is reached: of 'kind', or of the bytes beside
 * it. */
uint8_t sq_refused_share(struct sq_refused *, const struct sq_broker *, enum sq_limit,
    const struct sq_account *, enum sq_share_kind);
/* The queue has no room for a message of 'size' bytes behind those of its list: it is full, its store
 * is, or its tenant's share of store or memory is used up. */
uint8_t sq_refused_queue(struct sq_refused *, struct sq_broker *, const struct sq_sink *,
    uint32_t size, struct sq_look_pending list);

/* Counts, notes and logs that entry 'index' of a request, a 'what' ("publish"), was refused with
 * 'code'. */
void sq_refused_tell(struct sq_refused *, const struct sq_refused_of *, const char *what,
    uint8_t code, uint16_t index, struct sq_notes *notes);
/* Counts and notes a QoS 3 message that matches nothing: it is not stored, and not logged. */
void sq_refused_unmatched(
    struct sq_refused *, const struct sq_refused_of *, uint16_t index, struct sq_notes *notes);
/* Notes for the view that nothing takes a message, once for each struct sq_refused: that is no
 * failure, and may be said of every message. */
void sq_refused_nobody(struct sq_refused *, const struct sq_refused_of *);
/* Counts and logs the refusal of a 'what' whose publisher gets no answer. */
void sq_refused_untold(
    struct sq_refused *, const struct sq_refused_of *, const char *what, uint8_t code);
void sq_refused_fini(struct sq_refused *);

#endif
