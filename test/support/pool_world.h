/* A pool in a loop of its own with test brokers behind it, and a record of all
 * that it told.  For tests of net/pool.h. */
#ifndef SQ_TEST_SUPPORT_POOL_WORLD_H
#define SQ_TEST_SUPPORT_POOL_WORLD_H

#include <ev.h>
#include <stdbool.h>

#include "net/pool.h"
#include "h2_server.h"

enum { WORLD_BROKERS = 4, WORLD_SECONDS = 20 };

struct world {
	struct ev_loop *loop;
	struct sq_pool *pool;
	struct sq_pool_cfg cfg;
	char *names[WORLD_BROKERS];
	struct sq_strings brokers;
	struct sq_buf err;
	unsigned ups, drains, downs;  /* events */
	unsigned downs_with_requests; /* down before all its requests were answered */
	struct sq_uplink *last_up;
	struct sq_buf frames; /* a line for each deliver and detached */
	unsigned delivered, in_blocks;
	const char *fail_with; /* on the next deliver: sq_uplink_fail() */
	unsigned unanswered;   /* requests put and not done */
};

/* Answers and what they said; owned by the test. */
struct call {
	struct sq_request req;
	struct world *world;
	bool done;
	unsigned dones;
	struct sq_answer answer; /* body is dead */
	struct sq_buf body;
	char path[128];
};

/* Defaults: one broker, one link, in the clear, backoff 5 to 40 ms. */
void world_init(struct world *);
void world_add_broker(struct world *, const char *address);
/* Makes the pool; false with w->err when that fails. */
bool world_start(struct world *);
/* Frees all, and checks that nothing is left. */
void world_fini(struct world *);
/* Runs the loop until 'cond' holds; aborts after WORLD_SECONDS. */
#define WORLD_UNTIL(w, cond) \
	do { \
		world_watch(w, #cond); \
		while (!(cond)) \
			world_turn(w); \
	} while (0)
void world_watch(struct world *, const char *what);
void world_turn(struct world *);
int64_t world_count(const struct world *, enum sq_net_count);

/* Sends a request with up to two pieces of body. */
void call_send(struct call *, struct world *, struct sq_uplink *, const char *path, const void *a,
    size_t a_len, const void *b, size_t b_len);
/* The same as a PUT. */
void call_put(struct call *, struct world *, struct sq_uplink *, const char *path, const void *a,
    size_t a_len);
void call_fini(struct call *);

/* What goes to stderr from now on is in the file "log" of the test's folder, which
 * stays when the test fails; world_log() reads it. */
void world_log_capture(void);
const char *world_log(void);

/* A folder of the test's own with ca.pem, cert.pem and key.pem (a certificate for
 * broker.test and 127.0.0.1) and other.pem (somebody else's). */
void world_certs(void);
void world_certs_remove(void);
const char *world_file(const char *name);
void world_write(const char *name, const char *text);

#endif
