/* Subscriptions of the link: the request's body, and the codes that answer it.
 *
 * Part of proto/link/frame.h, which includes it; its rules hold here, too. */
#ifndef SQ_PROTO_LINK_SUBS_H
#define SQ_PROTO_LINK_SUBS_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/bytes.h"
#include "core/err.h"
#include "proto/link/notes.h"

enum {
	SQ_LANES = 2,           /* of a connection: docs/link.md, "Words" */
	SQ_SUBS_FLYING_MAX = 2, /* marked requests of a connection that are not answered */
	SQ_SUB_POD_MAX = 256,
};

enum { SQ_SUB_SUBSCRIBE = 1, SQ_SUB_UNSUBSCRIBE = 2 };
enum { SQ_SUB_DECLARED = 1, SQ_SUB_CONSUME = 2, SQ_SUB_DURABLE = 4 };
enum sq_overflow {
	SQ_OVERFLOW_DEFAULT,
	SQ_OVERFLOW_REJECT_PUBLISH,
	SQ_OVERFLOW_DROP_OLDEST,
	SQ_OVERFLOW_DROP_NEW,
};

struct sq_sub {
	uint8_t op;
	uint8_t options; /* MQTT 5.0 §3.8.3.1 */
	uint8_t flags;
	uint8_t overflow;
	uint32_t sub_id;
	uint32_t queue_expiry_s;
	uint32_t max_length;
	uint32_t max_attempts;
	uint32_t concurrency; /* unfinished messages of this member; 0: no limit of its own */
	struct sq_bytes tag, group, filter;

	/* From version 2 on, of a declared one: the time at which its set came into being
	 * (wall-clock ms; 0: not known), and the pod that declares it. */
	uint64_t since_ms;
	struct sq_bytes pod;
};

/* The version whose layout the broker's store has for subscriptions (docs/store.md). */
enum { SQ_SUB_STORED_VERSION = 1 };

/* The place of a Subscriptions in the order of its connection, from version 2 on. */
struct sq_subs_head {
	uint32_t mark;            /* its number in the connection; 0: it waits for nothing */
	uint64_t after[SQ_LANES]; /* with a mark: the last number given out before it */
};

/* A body is a head, which starts with the count of entries, and the entries.  A writer that counts
 * on the way writes the count to the body's first two bytes at the end. */
void sq_subs_head_put(struct sq_buf *, uint16_t n, const struct sq_subs_head *, unsigned version);
void sq_sub_put(struct sq_buf *, const struct sq_sub *, unsigned version);
/* Checks the whole body; returns its count or a negative error. */
int sq_subs_decode(const void *p, size_t len, unsigned version, struct sq_subs_head *head,
    struct sq_bytes *entries) SQ_MUST_CHECK;
struct sq_sub sq_sub_next(struct sq_bytes *entries, unsigned version);

/* Reason codes, one for each entry of a request. */
struct sq_codes {
	uint16_t n;
	const unsigned char *codes;
	struct sq_bytes notes; /* on codes, for sq_note_next(); empty in version 1 */
};

/* Version 1 leaves the notes out. */
void sq_codes_encode(struct sq_buf *, const struct sq_codes *, unsigned version);
/* 'out' points into 'p'. */
int
sq_codes_decode(const void *p, size_t len, unsigned version, struct sq_codes *out) SQ_MUST_CHECK;

#endif
