/* Who asks for named queues, as the broker proper sees it: SQ_CALL_QUEUE. */
#ifndef SQ_TEST_SUPPORT_FAKE_QUEUE_H
#define SQ_TEST_SUPPORT_FAKE_QUEUE_H

#include "broker_world.h"

struct fake_queue {
	struct sq_call call;
	unsigned answers; /* how often it was answered: 1 in the end */
	struct sq_declaration decl;
};

/* Who asks, and for queues of which space. */
struct asker {
	struct world *world;
	const struct sq_identity *who;
	const char *space;
};

/* A call that is not handed over yet; what is beside 'op' and 'name' is zeroed in 'call.in.queue'.
 * 'name' is not copied. */
struct fake_queue *queue_new(const struct asker *, enum sq_queue_op, const char *name);
/* Hands it over; it may be unanswered. */
void queue_post(struct fake_queue *);
/* Runs until it is answered: the verdict is OK. */
const struct sq_queue_out *queue_await(struct fake_queue *);
/* Frees '*qp', which was answered. */
void queue_free(struct fake_queue **qp);
/* Hands it over, runs, and checks how it was answered; frees it. */
void queue_expect(struct fake_queue **qp, enum sq_queue_how);
/* The same of a call with nothing beside its name. */
void queue_ask(const struct asker *, enum sq_queue_op, const char *name, enum sq_queue_how);

/* A DECLARE of what the JSON says. */
struct fake_queue *queue_declaring(const struct asker *, const char *name, const char *json);
void queue_declare(const struct asker *, const char *name, const char *json, enum sq_queue_how);
/* A GET, which is there: the call, whose answer has the queue. */
struct fake_queue *queue_get(const struct asker *, const char *name);
const struct sq_queue_info *queue_info(const struct fake_queue *, size_t i);
/* The text of an answer, valid as long as the call. */
const char *queue_detail(struct fake_queue *);
/* Messages that wait in it. */
uint64_t queue_ready(const struct asker *, const char *name);

#endif
