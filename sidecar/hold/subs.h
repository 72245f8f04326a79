/* Requests of a hold about subscriptions. subreq.c and subs.c have the requests and their answers,
 * order.c their place among the publishes, made.c and remake.c the client's subscriptions, and how
 * they are made again. */
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
	SQ_SUBS_BYTES_MAX = 262144, /* of a hold's requests without an answer; above: SQ_EAGAIN */
	SQ_SUBS_POST_MAX = 65536,   /* of a request, except one with a single packet */
	SQ_SUBS_ENTRIES_MAX = 2048, /* in a packet, and in a request */
	SQ_SUBREQ_ASK = 0xff,       /* placeholder of a code that the broker gives */
};

struct sq_subreq;

/* The answer to a request. */
struct sq_sub_codes {
	const unsigned char *codes; /* of all the request's entries */
	struct sq_bytes notes;
	uint16_t first; /* index of the subreq's first entry */
};

typedef void sq_subreq_done(struct sq_hold *, struct sq_subreq *, const struct sq_sub_codes *);

/* The content of one SUBSCRIBE or UNSUBSCRIBE, or of one declaration. */
struct sq_subreq {
	struct sq_list node;
	sq_subreq_done *done; /* called with the answer; the subreq is freed afterwards */
	uint8_t op;           /* SQ_SUB_SUBSCRIBE or SQ_SUB_UNSUBSCRIBE */
	bool declared, again; /* 'again': the sidecar's own, after a loss */
	uint16_t packet_id;
	uint16_t n, n_ask; /* entries; those that the broker is asked for */
	uint32_t token;
	uint8_t *codes;
	struct sq_buf text;    /* texts of refusals */
	struct sq_buf entries; /* as in version SQ_LINK_VERSION of the link */
};

/* --- subreq.c --- */

struct sq_subreq *sq_subreq_new(uint8_t op, uint16_t packet_id, uint16_t n, sq_subreq_done *done);
void sq_subreq_free(struct sq_subreq *);
/* Has the broker asked for entry 'i'. */
void sq_subreq_ask(struct sq_subreq *, uint16_t i, const struct sq_sub *);
/* Refuses an entry: counts, logs, and puts the text into the answer. */
void sq_subreq_refused(struct sq_hold *, struct sq_subreq *, uint8_t code, const struct sq_note *);
/* For 'done': copies the codes, and calls 'entry' (NULL: no call) for each entry that the broker
 * was asked for. */
void sq_subreq_take(struct sq_hold *, struct sq_subreq *, const struct sq_sub_codes *,
    void (*entry)(struct sq_hold *, const struct sq_subreq *, const struct sq_sub *, uint8_t code));

/* --- order.c: both take the subreq --- */

/* Queues the request in its place among the client's publishes. */
void sq_hold_ask_in_order(struct sq_hold *, struct sq_subreq *);
/* Queues the request without a place, behind others of its kind; 'first': before them. */
void sq_hold_ask(struct sq_hold *, struct sq_subreq *, bool first);
/* Drops queued requests to make subscriptions again, because the broker has lost them once more. */
void sq_hold_ask_not_again(struct sq_hold *);

/* --- made.c --- */

/* One subscription of a client. */
struct sq_made {
	struct sq_hnode node;
	uint32_t sub_id;
	uint16_t len;
	uint8_t options;
	bool inherited; /* of an older connection; the broker has not confirmed it to this one */
	char filter[];
};

/* Whether the client may subscribe to the filter. */
bool sq_hold_allows(const struct sq_hold *, const struct sq_topic_filter *);
void sq_hold_made(struct sq_hold *, const struct sq_sub *);
bool sq_hold_has_made(const struct sq_hold *, struct sq_bytes filter);
/* The same, but for one that is only inherited. */
bool sq_hold_is_sure_of(const struct sq_hold *, struct sq_bytes filter);
void sq_hold_unmade(struct sq_hold *, struct sq_bytes filter);

#endif
