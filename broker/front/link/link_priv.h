/* A link as its stream sees it: the other end of broker/port/link.h. */
#ifndef SQ_BROKER_FRONT_LINK_LINK_PRIV_H
#define SQ_BROKER_FRONT_LINK_LINK_PRIV_H

#include "broker/port/link.h"
#include "web/worker.h"
#include "core/buf.h"

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

/* One reference, open. */
struct sq_link *sq_link_new(const struct sq_link_cfg *);
/* From now on nothing more is put; what waits may still be taken. */
void sq_link_close(struct sq_link *);
/* The stream is gone; it is not flushed again.  Own worker. */
void sq_link_orphan(struct sq_link *);

/* Swaps what waits with 'out', which is empty; false when nothing does. */
bool sq_link_take(struct sq_link *, struct sq_buf *out);
/* What was taken has been written.  True if the link has just become writable. */
bool sq_link_written(struct sq_link *);
void sq_link_heartbeat(struct sq_link *);
void sq_link_draining(struct sq_link *);
/* The bundle of authorities is that of 'digest'; nothing on a link of version 1. */
void sq_link_trust(struct sq_link *, uint64_t digest);

#endif
