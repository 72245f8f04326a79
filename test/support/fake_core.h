/* A broker proper for tests of the front: it answers as the body of a request
 * says, and counts what it is told.
 *
 * The body, or the payload of a publish, is words, each a command, carried out in order:
 *   hold        keep the call until fake_release() answers it 200 from the test
 *   other       answer from the other worker
 *   deliver N   put the shared message N times to the link, targets joined
 *   single N    put a message of its own N times
 *   big N       put N messages of 64 KiB
 *   detached    put a detached frame
 *   run, gap, busy, stale, fail, malformed: that answer
 *   empty       204
 * Otherwise 200 with the body as it came; an attach is answered "attached", and a publish that one
 * queue has the message. */
#ifndef SQ_TEST_FAKE_CORE_H
#define SQ_TEST_FAKE_CORE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "broker/broker.h"
#include "broker/front/door/door.h"
#include "broker/front/link/front.h"

struct sq_broker {
	struct sq_crew *crew;
	struct sq_front *front;
	atomic_uint calls, held, links_closed, writable;
	atomic_bool drained, blocked; /* blocked: a put found the link not writable */
};

extern struct sq_broker fake;

/* A door with the service of links. */
struct fake_front_cfg {
	struct sq_door_cfg door;
	struct sq_link_front_cfg link;
};

/* One with small times on a free port of loopback. */
struct fake_front_cfg fake_front_cfg(void);
/* Opens it on that crew; NULL with a line in 'err'. */
struct sq_front *
fake_front_open(const struct fake_front_cfg *, struct sq_crew *, struct sq_buf *err);
/* Has it serve 'fake' on a crew of its own: one worker, or as many as said. */
void fake_start(const struct fake_front_cfg *);
void fake_start_on(unsigned workers, const struct fake_front_cfg *);
/* Stops and frees it; nothing may be left. */
void fake_stop(void);
/* Answers what is held, from this thread. */
void fake_release(void);
/* Waits until '*n' is at least 'least'. */
bool fake_await(const atomic_uint *n, unsigned least);

#endif
