/* A pool without sockets: net/pool.h for tests of what sits on it.  Links
 * come and go by the test's word; requests wait until it answers them. */
#ifndef SQ_TEST_SUPPORT_FAKE_POOL_H
#define SQ_TEST_SUPPORT_FAKE_POOL_H

#include <ev.h>

#include "core/buf.h"
#include "net/pool.h"

/* A new link, told to the pool's owner. */
struct sq_uplink *fake_link_up(struct sq_pool *);
/* It is to be left; told to the owner. */
void fake_link_drain(struct sq_pool *, struct sq_uplink *);
/* Its requests are answered with status 0, then it is gone. */
void fake_link_down(struct sq_pool *, struct sq_uplink *);

/* The oldest request whose path contains 'what' ("" any; "?" a POST); NULL: none. */
struct sq_request *fake_request(struct sq_pool *, const char *what);
/* The same, once there is one: runs the loop until then. */
struct sq_request *fake_await(struct ev_loop *, struct sq_pool *, const char *what);
/* The next one after 'r'. */
struct sq_request *
fake_request_after(struct sq_pool *, const struct sq_request *r, const char *what);
/* Its body in one piece, valid until the next call. */
struct sq_bytes fake_body(const struct sq_request *);
void fake_answer(struct sq_request *, const struct sq_answer *);
/* The frames that the buffer has, told to the owner as those of the link. */
void fake_frames(struct sq_uplink *, const struct sq_buf *);
/* The broker's answer to a marked request. */
void fake_subscribed(
    struct sq_uplink *, uint64_t epoch, uint32_t mark, const uint8_t *codes, uint16_t n);
/* What links speak from now on; at first SQ_LINK_VERSION. */
void fake_version(unsigned);

#endif
