/* A front without a transport: its peers are threads of the test, which call it directly.  Its
 * outlets are the links of fake_front.h. */
#ifndef SQ_TEST_SUPPORT_LOCAL_FRONT_H
#define SQ_TEST_SUPPORT_LOCAL_FRONT_H

#include "broker/port/front.h"
#include "fake_front.h"

struct local_peer;

struct sq_crew;

/* Things that are put on a peer's outlet and not taken, above which it is full. */
enum { LOCAL_OUTLET_MOST = 16 };

/* A second implementation of broker/port/front.h, on the crew's workers. */
struct sq_front *local_front_open(struct sq_crew *);

/* A peer with that identity; NULL: the front drains, or the broker takes no more connections. */
struct local_peer *local_peer_open(struct sq_front *, const struct sq_identity *);
/* Its connection is lost: the outlet closes, and the broker is told.  Once; the peer stays. */
void local_peer_lose(struct local_peer *);
/* After that, or after the front's stop. */
void local_peer_free(struct local_peer **pp);

/* Hands a call to the broker; takes what 'body' holds. */
struct fake_call *local_peer_post(
    struct local_peer *, enum sq_call_kind, const char *key, uint64_t epoch, struct sq_buf *body);
/* Waits for its answer; the call is the caller's. */
void local_call_await(struct fake_call *);
/* Takes the oldest thing that was put (fake_link_take()); false: there is none. */
bool local_peer_take(struct local_peer *, struct fake_delivery *out);
/* The kept subscriptions that the peer was told, as fake_link_copy_kept() has them. */
void local_peer_kept(const struct local_peer *, char *to, size_t size);
/* Whether it has been asked to go. */
bool local_peer_moved(const struct local_peer *);

#endif
