/* Why a message is refused: in words, for its publisher and the log.
 *
 * The words are made where the refusal is decided and leave as a note with the outcomes of
 * the batch (docs/link.md, "Notes"); nothing of this runs for a message that is taken.
 * Refusals are counted by reason, and logged at a rate that each queue, and each session
 * where no queue is to blame, has for itself. */
#ifndef SQ_BROKER_PUBLISH_REFUSED_H
#define SQ_BROKER_PUBLISH_REFUSED_H

#include "broker/publish/options.h"
#include "broker/auth/identity/identity.h"
#include "broker/shard/shard.h"
#include "proto/link/notes.h"

#define SQ_REFUSED_STORE \
	"the broker's store takes nothing new at the moment (store.max-size, or its disk)"

/* Who is refused. */
struct sq_refused_of {
	struct sq_broker *broker;
	const char *name;                   /* for the log */
	const struct sq_identity *identity; /* the same; NULL: not known */
	_Atomic uint64_t
	    *quiet_until_ms; /* until then no line of it is logged; of one that is told */
};

/* Of the message that is being routed; starts zeroed and is used again for the next one. */
struct sq_refused {
	uint8_t refusal;             /* enum sq_refusal */
	const struct sq_sink *queue; /* whose queue refuses; NULL: none does */
	struct sq_buf text;
};

/* Each of these returns the reason code. */
uint8_t sq_refused_say(struct sq_refused *, uint8_t code, enum sq_refusal, const char *fmt, ...)
    SQ_PRINTF(4, 5);
/* What the message asks for can't be had, or it has a name of ours that is not known: that
 * may be taken, is counted and logged then, and the code is 0. */
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
/* The store takes nothing new: see sq_engine_full(). */
uint8_t sq_refused_store(struct sq_refused *);
/* The same where the account has its share of it, of 'kind' or, where there are two, of its
 * bytes. */
uint8_t sq_refused_share(struct sq_refused *, const struct sq_broker *, enum sq_limit,
    const struct sq_account *, enum sq_share_kind);
/* The queue has no room for a message of 'size': it is full, or the store that it is in, or its
 * tenant has its share of that, or of memory. */
uint8_t
sq_refused_queue(struct sq_refused *, struct sq_broker *, const struct sq_sink *, uint32_t size);

/* Entry 'index' of a request, a 'what' ("publish"), was refused so with 'code':
 * counts it, notes and logs it. */
void sq_refused_tell(struct sq_refused *, const struct sq_refused_of *, const char *what,
    uint8_t code, uint16_t index, struct sq_notes *notes);
/* The same of a QoS 3 message that nothing matches: it is not stored, which is no line of the
 * log. */
void sq_refused_unmatched(
    struct sq_refused *, struct sq_broker *, uint16_t index, struct sq_notes *notes);
/* A message ('what') of 'of' was refused, and nobody is there to be told: counts and logs
 * it. */
void sq_refused_untold(
    struct sq_refused *, struct sq_broker *, const char *of, const char *what, uint8_t code);
void sq_refused_fini(struct sq_refused *);

#endif
