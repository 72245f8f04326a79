/* What a session asks of its broker about subscriptions, for subreq.c and subs.c (what is asked,
 * and its answer), order.c (requests, and their place among the publishes) and
 * made.c and remake.c (what is there, and what is made again). */
#ifndef SQ_SIDECAR_HOLD_SUBS_H
#define SQ_SIDECAR_HOLD_SUBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/bytes.h"
#include "core/htab.h"
#include "core/list.h"
#include "proto/link/frame.h"
#include "proto/topic/topic.h"

struct sq_hold;

enum {
	SQ_SUBS_BYTES_MAX = 262144, /* of a session without an answer; then EAGAIN */
	SQ_SUBS_POST_MAX = 65536,   /* of a request, unless it is one packet's */
	SQ_SUBS_ENTRIES_MAX = 2048, /* of a packet, and of a request */
	SQ_SUBREQ_ASK = 0xff,       /* the broker's answer goes here */
};

struct sq_subreq;

/* What a request was answered with. */
struct sq_sub_codes {
	const unsigned char *codes; /* of all its entries */
	struct sq_bytes notes;
	uint16_t first; /* the index of the subreq's first one */
};

typedef void sq_subreq_done(struct sq_hold *, struct sq_subreq *, const struct sq_sub_codes *);

/* What came in one packet, or one declaration. */
struct sq_subreq {
	struct sq_list node;
	sq_subreq_done *done; /* its answer has come; the subreq goes afterwards */
	uint8_t op;           /* SQ_SUB_SUBSCRIBE or SQ_SUB_UNSUBSCRIBE */
	bool declared, again; /* 'again': the client knows nothing of it */
	uint16_t packet_id;
	uint16_t n, n_ask; /* entries; of which are asked for */
	uint32_t token;
	uint8_t *codes;
	struct sq_buf text;    /* why of what is refused */
	struct sq_buf entries; /* as in version SQ_LINK_VERSION of the link */
};

/* --- subreq.c --- */

struct sq_subreq *sq_subreq_new(uint8_t op, uint16_t packet_id, uint16_t n, sq_subreq_done *done);
void sq_subreq_free(struct sq_subreq *);
/* Entry 'i' is asked for. */
void sq_subreq_ask(struct sq_subreq *, uint16_t i, const struct sq_sub *);
/* An entry is refused: counted, logged, and put into the words of the packet. */
void sq_subreq_refused(struct sq_hold *, struct sq_subreq *, uint8_t code, const struct sq_note *);
/* For 'done': takes the codes, and calls 'entry' (NULL: nothing) for each entry that was asked
 * for. */
void sq_subreq_take(struct sq_hold *, struct sq_subreq *, const struct sq_sub_codes *,
    void (*entry)(struct sq_hold *, const struct sq_subreq *, const struct sq_sub *, uint8_t code));

/* --- order.c: both take the subreq --- */

/* It keeps its place among what the client has published. */
void sq_hold_ask_in_order(struct sq_hold *, struct sq_subreq *);
/* It waits for nothing but what was asked so before; 'first': not even for that. */
void sq_hold_ask(struct sq_hold *, struct sq_subreq *, bool first);
/* What still waits to make again what the broker has lost once more is not asked for. */
void sq_hold_ask_not_again(struct sq_hold *);

/* --- made.c --- */

/* One of what a client has subscribed to. */
struct sq_made {
	struct sq_hnode node;
	uint32_t sub_id;
	uint16_t len;
	uint8_t options;
	char filter[];
};

/* Whether its client may subscribe to that. */
bool sq_hold_allows(const struct sq_hold *, const struct sq_topic_filter *);
void sq_hold_made(struct sq_hold *, const struct sq_sub *);
bool sq_hold_has_made(const struct sq_hold *, struct sq_bytes filter);
void sq_hold_unmade(struct sq_hold *, struct sq_bytes filter);

#endif
