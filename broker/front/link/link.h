/* A link: the outlet of a sidecar (broker/port/outlet.h), with a buffer between the broker and a
 * deliveries response.  A target joins the deliver frame at the buffer's end if possible.
 *
 * Any worker puts frames; the link's home worker takes the buffer once per turn and writes it. */
#ifndef SQ_BROKER_FRONT_LINK_LINK_H
#define SQ_BROKER_FRONT_LINK_LINK_H

#include "broker/port/outlet.h"
#include "core/buf.h"
#include "web/worker.h"

enum {
	SQ_LINK_HIGH = 4 << 20,  /* buffered bytes above which it is not writable */
	SQ_LINK_LOW = 1 << 20,   /* and below which it is writable again */
	SQ_LINK_KEEP = 64 << 10, /* capacity kept for the next turn */
};

struct sq_link_cfg {
	uint64_t id;
	unsigned version;
	const struct sq_identity *identity; /* the link takes a reference of its own */
	struct sq_worker *home;             /* its connection's */
	/* The buffer has content to be taken; on 'home', in SQ_TURN_FLUSH. */
	void (*flush)(void *stream);
	void *stream;
};

struct sq_link;

/* Answers that wait for others: broker/front/link/calls.c.  Zeroed but for 'calls': none. */
struct sq_link_withheld {
	struct sq_list calls; /* struct sq_call; each has a reference to the link's outlet */
	unsigned n;
	uint64_t batch_ms; /* when the last batch of QoS 0 was done */
	struct sq_alarm alarm;
};

/* Makes an open link with one reference, which is the stream's.  Thread: home, as for the functions
 * below. */
struct sq_link *sq_link_new(const struct sq_link_cfg *);
/* Closes the link: nothing more is put; the buffer may still be taken.  Answers that are withheld on it
 * are given in this worker's next turn, also where that is its last one. */
void sq_link_close(struct sq_link *);
/* Closes the link, whose stream has ended, without another flush, and gives the stream's reference
 * back; nulls the pointer. */
void sq_link_orphan(struct sq_link **lp);

struct sq_outlet *sq_link_outlet(struct sq_link *);
uint64_t sq_link_id(const struct sq_link *);
unsigned sq_link_version(const struct sq_link *);
/* What is withheld on the link that the outlet is; open or not. */
struct sq_link_withheld *sq_link_withheld(struct sq_outlet *);

/* The output of a link. */
struct sq_link_output {
	uint64_t delivered; /* targets of deliveries so far */
	uint64_t waiting;   /* bytes that are not written */
};

struct sq_link_output sq_link_output(struct sq_link *);

/* Swaps the buffer with 'out', which is empty; false: the buffer is empty. */
bool sq_link_take(struct sq_link *, struct sq_buf *out);
/* The taken bytes have been written.  True: the link has become writable. */
bool sq_link_written(struct sq_link *);
void sq_link_heartbeat(struct sq_link *);
/* 'address': of the broker to go to; "": any. */
void sq_link_draining(struct sq_link *, const char *address);
/* Says who would own next; nothing on a link before version 3. */
void sq_link_standby(struct sq_link *, const char *address);
/* Announces the bundle of authorities with that digest; nothing on a link of version 1. */
void sq_link_trust(struct sq_link *, uint64_t digest);

#endif
