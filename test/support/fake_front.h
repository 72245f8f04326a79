/* The HTTP front as the broker sees it, without HTTP: links that record what is
 * put on them, and calls whose answers are kept.  Safe from many threads. */
#ifndef SQ_TEST_SUPPORT_FAKE_FRONT_H
#define SQ_TEST_SUPPORT_FAKE_FRONT_H

#include "broker/broker.h"
#include "broker/port/call.h"
#include "broker/port/outlet.h"

/* What was put on a link: a delivery to one target, 'detached', or 'subscribed'. */
struct fake_delivery {
	bool detached, subscribed, taken;
	uint32_t mark; /* of a subscribed frame, with its codes (the first ones) and notes */
	uint16_t n_codes;
	uint8_t codes[8];
	char note[64];  /* the text of the first one, cut */
	uint8_t reason; /* of a detached frame */
	uint64_t epoch, delivery, queue;
	uint16_t packet_id;
	uint8_t qos;
	bool retain, redelivered;
	uint32_t expiry_s;
	bool has_origin;
	struct sq_origin origin;
	uint8_t n_subs;
	uint32_t subs[8];  /* the first ones */
	struct sq_msg msg; /* a copy */
	char payload[64];  /* as text, cut */
	char topic[64];
};

/* An open link with one reference, the caller's; freed with its last one. */
struct sq_outlet *fake_link_new(uint64_t identity);
/* Another one has opened it. */
void fake_link_identify(struct sq_outlet *, const struct sq_identity *);
/* Of the protocol; a new link has the newest. */
void fake_link_set_version(struct sq_outlet *, unsigned version);
unsigned fake_link_version(const struct sq_outlet *);
/* What sessions were said to have subscribed to, since the link is there: "filter options
 * identifier", one a line. */
const char *fake_link_kept(const struct sq_outlet *);
/* A copy of that, cut at 'size' bytes.  For threads. */
void fake_link_copy_kept(const struct sq_outlet *, char *to, size_t size);
/* What was put on it, in order. */
size_t fake_link_count(const struct sq_outlet *);
struct fake_delivery *fake_link_at(struct sq_outlet *, size_t i);
/* Takes the oldest thing that was put out of the log; the message stays with the
 * link (msg is empty).  For threads, instead of the two above. */
bool fake_link_take(struct sq_outlet *, struct fake_delivery *out);
/* From now on the link is full above so many things that are not taken; 0: never.  Who takes them
 * says that it is writable again. */
void fake_link_bound(struct sq_outlet *, size_t most);
/* Whether it was full, and half of that is taken: it is writable from now on, and the caller tells
 * the broker. */
bool fake_link_has_room(struct sq_outlet *);
/* All links that live. */
size_t fake_links(void);

struct fake_call {
	struct sq_call call;
	struct sq_key key;
	struct sq_buf answer;             /* the body with which a link would answer it */
	unsigned answers;                 /* how often it was answered: 1 in the end */
	void (*done)(struct fake_call *); /* if set, runs where it was answered */
	void *owner;
};

/* A call with one reference to 'outlet'; takes what 'body' holds. */
struct fake_call *fake_call_new(enum sq_call_kind, const char *key, uint64_t epoch,
    struct sq_outlet *outlet, struct sq_buf *body);
/* The status with which a link would say how it was answered. */
unsigned fake_call_status(const struct fake_call *);
/* Frees '*cp', which was answered. */
void fake_call_free(struct fake_call **cp);

#endif
