/* A wanted subscription: an entry of a Subscriptions with its filter parsed and checked, and the
 * names that follow from it.
 *
 * Pure: knows no session. */
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
	char *name;  /* as in struct sq_subscription */
	char *group; /* NULL: none */
	bool dead;   /* the group is a dead-letter queue's: */
	enum sq_dead_kind dead_kind;
	bool named;            /* the group is a named queue, which is there or not: */
	struct sq_bytes queue; /* its name, a view into the entry */

	/* The answer's text and refusal beside the code. */
	enum sq_refusal refusal; /* for a code that refuses */
	struct sq_buf note;      /* a text for people; may be empty */
};

/* Joins the parts into one string, for the caller to free.  A byte that occurs in no part separates
 * them. */
char *sq_wanted_text(const char *kind, struct sq_bytes a, struct sq_bytes b, struct sq_bytes c);
/* Parses an entry for the session with that key.  Returns a reason code, below 0x80 for a
 * well-formed entry. sq_wanted_fini() follows in either case. */
uint8_t sq_wanted_parse(const struct sq_key *key, const struct sq_sub *e, struct sq_wanted *w);
/* The same of an entry that the store has, also of an older broker. */
uint8_t sq_wanted_stored(const struct sq_key *key, const struct sq_sub *e, struct sq_wanted *w);
/* Notes that the entry is refused for 'why'; returns 'code'. */
uint8_t sq_wanted_refuse(struct sq_wanted *w, uint8_t code, const char *why);
/* Whether the names of the group and of the binding fit into records of the store. */
bool sq_wanted_storable(const struct sq_wanted *w);
struct sq_bytes sq_wanted_note(const struct sq_wanted *w);
void sq_wanted_fini(struct sq_wanted *w);

#endif
