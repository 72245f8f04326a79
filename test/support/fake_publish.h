/* Publishers without a session, as the broker proper sees them: SQ_CALL_PUBLISH. */
#ifndef SQ_TEST_SUPPORT_FAKE_PUBLISH_H
#define SQ_TEST_SUPPORT_FAKE_PUBLISH_H

#include "broker_world.h"

struct fake_publish {
	struct sq_call call;
	struct sq_msg *msgs;
	struct sq_publish_want *wants;
	unsigned answers; /* how often it was answered: 1 in the end */
};

/* Who publishes, and where. */
struct publisher {
	struct world *world;
	const struct sq_identity *who;
	const char *space;
	bool require_match; /* of its messages */
	bool atomic;        /* all of a call's messages, or none */
};

/* Hands a call with these messages over; it may be unanswered. */
struct fake_publish *publisher_post(const struct publisher *, const struct entry *, uint16_t n);
/* The same of one message, whose reference it takes over. */
struct fake_publish *publisher_post_message(const struct publisher *, struct sq_msg);
/* Runs until the call is answered: it is good; returns the outcomes. */
const struct sq_published *publish_outcomes(struct fake_publish *);
/* Frees '*pp', which was answered. */
void publish_free(struct fake_publish **pp);
/* Runs, checks the verdict, and frees. */
void publish_expect(struct fake_publish **pp, enum sq_verdict);
/* One message; a copy of its outcome, without 'note' and 'queue'. */
struct sq_published publisher_send(const struct publisher *, const struct entry *);

#endif
