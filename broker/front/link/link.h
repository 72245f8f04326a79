/* A link: the outlet of a sidecar (broker/port/outlet.h), and its buffer between the broker and a
 * deliveries response.  A target joins the deliver frame at the buffer's end where it may.
 *
 * Any worker puts frames; the link's own worker takes all that waits once per turn and writes
 * it. */
#ifndef SQ_BROKER_FRONT_LINK_LINK_H
#define SQ_BROKER_FRONT_LINK_LINK_H

#include "broker/port/outlet.h"
#include "core/buf.h"
#include "web/worker.h"

enum {
	SQ_LINK_HIGH = 4 << 20,  /* bytes that wait before it is not writable */
	SQ_LINK_LOW = 1 << 20,   /* and below which it is again */
	SQ_LINK_KEEP = 64 << 10, /* capacity kept for the next turn */
};

struct sq_link_cfg {
	uint64_t id;
	unsigned version;
	const struct sq_identity *identity; /* the link takes a reference of its own */
	struct sq_worker *home;             /* its connection's */
	/* On 'home', in SQ_TURN_FLUSH: something waits to be taken. */
	void (*flush)(void *stream);
	void *stream;
};

struct sq_link;

/* Open, with one reference, which is the stream's.  Thread: its home, as below. */
struct sq_link *sq_link_new(const struct sq_link_cfg *);
/* From now on nothing more is put; what waits may still be taken. */
void sq_link_close(struct sq_link *);
/* The stream is gone: closes the link, which is not flushed again, and drops the stream's
 * reference. */
void sq_link_orphan(struct sq_link **lp);

struct sq_outlet *sq_link_outlet(struct sq_link *);
uint64_t sq_link_id(const struct sq_link *);

/* Swaps what waits with 'out', which is empty; false when nothing does. */
bool sq_link_take(struct sq_link *, struct sq_buf *out);
/* What was taken has been written.  True if the link has just become writable. */
bool sq_link_written(struct sq_link *);
void sq_link_heartbeat(struct sq_link *);
void sq_link_draining(struct sq_link *);
/* The bundle of authorities is that of 'digest'; nothing on a link of version 1. */
void sq_link_trust(struct sq_link *, uint64_t digest);

#endif
