/* The look at messages that are published together, all or none (together.h), before the first of
 * them is put: what those before take, so that the messages of a list count against each other.
 *
 * A publish with a look (struct sq_publish) goes through a list twice.  First it is judged, and
 * nothing is changed but the look; shares of retained and delayed messages are taken meanwhile and
 * given back at its end.  Then it is carried out: nothing is judged any more, and what the look has
 * found room for is forced, whatever others have taken since.  On the worker of the publish. */
#ifndef SQ_BROKER_PUBLISH_LOOK_H
#define SQ_BROKER_PUBLISH_LOOK_H

#include "broker/publish/idempotency.h"
#include "broker/route/retained.h"
#include "broker/share/share.h"
#include "core/htab.h"

enum { SQ_LOOK_COPIES_MAX = 8192 }; /* of a list, and bindings that its messages match */

struct sq_look {
	bool carries;           /* the look is over, and what it has seen is carried out */
	bool too_large;         /* what it has refused does not fit into the transaction */
	uint16_t message;       /* the place in the list of the message that it looks at */
	size_t copies;          /* bindings matched */
	uint64_t items, bytes;  /* for the transaction: see sq_txn_ops.room */
	struct sq_htab sinks;   /* struct look_sink */
	struct sq_htab keys;    /* struct look_key */
	size_t new_keys;        /* of these, keys that will be new in their table */
	uint64_t delayed_bytes; /* taken from the tenant's share, for 'delayed' messages */
	uint32_t delayed;
	struct sq_retain_share retained;
};

/* What the list has for a queue before the present message. */
struct sq_look_pending {
	uint32_t n;
	uint64_t bytes;
};

void sq_look_fini(struct sq_look *);

/* Whether the message is only looked at; NULL: no. */
static inline bool
sq_look_only(const struct sq_look *l)
{
	return l != NULL && !l->carries;
}

/* Whether the message was looked at before, and is not judged again; NULL: no. */
static inline bool
sq_look_over(const struct sq_look *l)
{
	return l != NULL && l->carries;
}

/* What the messages before have for the sink's queue; a NULL look: nothing. */
struct sq_look_pending sq_look_pending(const struct sq_look *, const struct sq_sink *);
/* The present message has a copy for the sink's queue, one however often it is called. */
void sq_look_put(struct sq_look *, const struct sq_sink *, uint32_t bytes);

/* What the keys of the messages before say of a key: SQ_KEY_KNOWN, SQ_KEY_OTHER or SQ_KEY_NEW. */
enum sq_key_state sq_look_key(const struct sq_look *, const struct sq_message_key *);
/* The present message will be stored with the key, which is new. */
void sq_look_add_key(struct sq_look *, const struct sq_message_key *);

#endif
