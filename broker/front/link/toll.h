/* What the frames of an HTTP/2 connection cost and bring.  Pure: it walks over bytes that
 * begin with a frame, as h2o's input does at each turn, and counts the complete ones.
 *
 * A frame that carries no work costs; time, requests, and bytes sent to the peer bring
 * something in.  Who has spent all is flooding (RFC 9113, 10.5). */
#ifndef SQ_BROKER_FRONT_LINK_TOLL_H
#define SQ_BROKER_FRONT_LINK_TOLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/front/link/fields.h"

enum {
	SQ_TOLL_BURST = 1000,     /* what a connection begins with, and time brings it to */
	SQ_TOLL_PER_SECOND = 100, /* that time brings */
	SQ_TOLL_MOST = 1 << 18,   /* that can be saved up */
	SQ_TOLL_UNKNOWN = 100,    /* cost of one of a type that h2o does not know, and prints */
	SQ_TOLL_ERROR = 4,        /* of one that h2o answers with the end of a stream */
	SQ_TOLL_REFUSED = 9,      /* of a request that is refused for its token */
	SQ_TOLL_REQUEST = 8,      /* what a request brings that is not a stranger's */
	SQ_TOLL_SEND = 4,         /* what a write to the peer brings, and */
	SQ_TOLL_SENT_BYTES = 128, /* one more for so many bytes */
	SQ_TOLL_HEAD_MAX = 16384, /* bytes of a request's head, HTTP/1.1's too */
	SQ_TOLL_FIELDS_MAX = 100, /* in it, as h2o takes of HTTP/1.1 */
};

/* A connection's account.  Begins with sq_toll_init(). */
struct sq_toll {
	int64_t left;
	uint64_t paid_ms;        /* until when time has brought something */
	size_t head;             /* of the request whose head arrives */
	struct sq_fields fields; /* of it */
	size_t heads;            /* bytes of heads that the last sq_toll_take() has seen */
};

void sq_toll_init(struct sq_toll *, uint64_t now_ms);
/* Charges the complete frames at the beginning of 'p'.  'len' may end inside one: it is
 * charged when it is at the beginning again, whole. */
void sq_toll_take(struct sq_toll *, const unsigned char *p, size_t len);
/* Whether a head is larger, or has more fields, than may be. */
bool sq_toll_head_too_large(const struct sq_toll *);
void sq_toll_spend(struct sq_toll *, unsigned cost);
void sq_toll_earn(struct sq_toll *, size_t gain);
/* What time has brought; false: all is spent. */
bool sq_toll_good(struct sq_toll *, uint64_t now_ms);

#endif
