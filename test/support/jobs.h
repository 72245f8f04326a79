/* The queue "jobs" of a queue world: who publishes to it, and who pulls from it. */
#ifndef SQ_TEST_SUPPORT_JOBS_H
#define SQ_TEST_SUPPORT_JOBS_H

#include "queue_world.h"

/* Rules by which everybody may consume and manage, and nobody publishes to "locked" and "out/locked"; a
 * reference. */
struct sq_acl *jobs_rules(void);

/* A contract of the suite, in each world of named queues; its body follows. */
#define JOBS_CONTRACT(suite, name) \
	static void name(void); \
	Test(suite, name) \
	{ \
		queue_world_in_each(jobs_rules, name); \
	} \
	static void name(void)

/* Declares it, of the topics below "t", with more members; retries wait 1 s, without jitter. */
void jobs_declare(const char *more);
/* Publishes messages, one a letter: the letter is the payload, and "t/" with it the topic. */
void jobs_publish(const char *letters);
/* The same of one topic. */
void jobs_publish_lane(const char *letters);

struct fake_queue *jobs_receive_post(unsigned max, uint64_t wait_ms);
/* Lets time pass until it is answered. */
void jobs_await(struct fake_queue *, uint64_t most_ms);
const struct sq_pulled *jobs_pulled(const struct fake_queue *, size_t i);
size_t jobs_n_pulled(const struct fake_queue *);
/* Until the next call. */
const char *jobs_letters_of(const struct fake_queue *);
/* Receives exactly these, in one answer. */
struct fake_queue *jobs_receive(const char *letters);
void jobs_expect_nothing(void);
/* A SETTLE of all that was received, not handed over yet. */
struct fake_queue *jobs_settle_post(const struct fake_queue *of, enum sq_lease_end);
enum sq_queue_how jobs_settle(const struct fake_queue *of, enum sq_lease_end);
/* Acknowledges all of it, and frees it. */
void jobs_ack(struct fake_queue **of);

#endif
