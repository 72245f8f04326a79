/* What a forwarder and an inlet of amqp have in common: lines, a lock, one task that brings what the lines
 * have done to the worker, the state that is told, and the end. */
#ifndef SQ_BROKER_BRIDGE_AMQP_HALF_H
#define SQ_BROKER_BRIDGE_AMQP_HALF_H

#include <pthread.h>

#include "broker/bridge/amqp/line.h"
#include "broker/bridge/bridge.h"
#include "broker/bridge/cfg.h"
#include "core/task.h"

enum { SQ_AMQP_NEWS_MAX = 16 };

/* A change of the state, for the user. */
struct sq_amqp_news {
	bool up;
	char *why;
};

struct sq_amqp_half {
	struct sq_bridge_env env;
	const struct sq_bridge_cfg *cfg;
	enum sq_bridge_half which;
	struct sq_amqp_line *lines[SQ_AMQP_LINES_MAX];
	unsigned n_lines;
	/* On the worker, after the state was told: takes in what the lines have done. */
	void (*run)(struct sq_amqp_half *);
	/* On the worker, when no line is there any more: ends what is left, and frees the half. */
	void (*over)(struct sq_amqp_half *);
	struct sq_task task;
	pthread_mutex_t lock;
	/* Under the lock. */
	bool posted, ended;
	bool line_up[SQ_AMQP_LINES_MAX];
	unsigned up;    /* lines */
	uint64_t up_ms; /* since when there is one */
	/* It went down soon after it was up: that it is up again is told when it is proved. */
	bool doubt, unproved;
	unsigned told; /* troubles, by bits, since it was up */
	char *peer;    /* the first one's name since it was up */
	char *trouble; /* the last one's words; NULL: none since it was up */
	/* What a line that is up does without, NULL: nothing; and what was told of that. */
	char *lacks[SQ_AMQP_LINES_MAX], *lacks_told;
	struct sq_amqp_news news[SQ_AMQP_NEWS_MAX];
	unsigned n_news;
	/* The worker's, from close() on. */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* Fills the common part of a zeroed half in. */
void sq_amqp_half_init(struct sq_amqp_half *, const struct sq_bridge_env *,
    const struct sq_bridge_cfg *, enum sq_bridge_half);
/* What the lines dial, from the configuration.  SQ_EINVAL with a line in 'err'. */
int sq_amqp_half_peer_cfg(
    const struct sq_amqp_half *, struct sq_amqp_peer_cfg *out, struct sq_buf *err) SQ_MUST_CHECK;
void sq_amqp_half_fini(struct sq_amqp_half *);
/* Has run() called on the worker, soon.  Thread: any. */
void sq_amqp_half_post(struct sq_amqp_half *);
/* A line is up, or is not.  Thread: its. */
void sq_amqp_half_state(
    struct sq_amqp_half *, unsigned line, bool up, enum sq_amqp_trouble, const char *why);
/* What a line does without, as a queue that is not there; NULL: nothing.  A line that goes down lacks
 * nothing any more.  Thread: its. */
void sq_amqp_half_lacks(struct sq_amqp_half *, unsigned line, const char *what);
/* A line is connected; 'proof': the peer does what it should.  Thread: its. */
void sq_amqp_half_look(struct sq_amqp_half *, bool proof);
void
sq_amqp_half_close(struct sq_amqp_half *, unsigned within_ms, void (*closed)(void *arg), void *arg);
/* Members that both have in their status, without a comma at the end. */
void sq_amqp_half_status(const struct sq_amqp_half *, struct sq_buf *json);

#endif
