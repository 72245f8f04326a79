/* What an entry of a Subscriptions wants: its filter parsed and checked, and the names
 * that follow from it.  Knows of no session. */
#ifndef SQ_BROKER_WANTED_H
#define SQ_BROKER_WANTED_H

#include <string.h>

#include "broker/publish/dead_queues.h"
#include "core/buf.h"
#include "proto/link/key.h"
#include "proto/link/refusal.h"
#include "proto/link/subs.h"
#include "proto/mqtt/options.h"
#include "proto/topic/topic.h"

/* An entry with its filter parsed. */
struct sq_wanted {
	struct sq_sub e;
	struct sq_topic_filter filter;
	char *name;  /* see struct sq_subscription */
	char *group; /* NULL: none */
	bool dead;   /* the group is a dead-letter queue's: */
	enum sq_dead_kind dead_kind;

	/* What the answer says behind the code. */
	enum sq_refusal refusal; /* for a code that refuses */
	struct sq_buf note;      /* a text for people; may be empty */
};

/* The parts in one string, the caller's, each behind a byte that no part can be mistaken
 * for. */
char *sq_wanted_text(const char *kind, struct sq_bytes a, struct sq_bytes b, struct sq_bytes c);
/* Parses an entry of the session of that key; returns a reason code, below 0x80 when it is
 * well formed. */
uint8_t sq_wanted_parse(const struct sq_key *key, const struct sq_sub *e, struct sq_wanted *w);
/* The entry is refused, for 'why'; returns 'code'. */
uint8_t sq_wanted_refuse(struct sq_wanted *w, uint8_t code, const char *why);
/* Whether the store's records can hold the names of the group and of the binding. */
bool sq_wanted_storable(const struct sq_wanted *w);
struct sq_bytes sq_wanted_note(const struct sq_wanted *w);
void sq_wanted_fini(struct sq_wanted *w);

#endif
