/* The toll of an HTTP/2 connection: frames without work cost; time, requests, and bytes sent to the
 * peer earn.  A connection that has spent everything is flooding (RFC 9113, 10.5).
 *
 * Pure: walks over bytes that begin with a frame, which h2o's input does at each turn, and counts
 * complete frames. */
#ifndef SQ_BROKER_FRONT_DOOR_TOLL_H
#define SQ_BROKER_FRONT_DOOR_TOLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/front/door/fields.h"

enum {
	SQ_TOLL_BURST = 1000,     /* initial amount, and the most that time earns */
	SQ_TOLL_PER_SECOND = 100, /* earned by time */
	SQ_TOLL_MOST = 1 << 18,   /* most that can be saved */
	SQ_TOLL_UNKNOWN = 100,    /* cost of a frame of a type that h2o does not know, and prints */
	SQ_TOLL_ERROR = 4,        /* cost of a frame that h2o answers by ending a stream */
	SQ_TOLL_REFUSED = 9,      /* cost of a request refused for its token */
	SQ_TOLL_REQUEST = 8,      /* earned by a request that is not a stranger's */
	SQ_TOLL_SEND = 4,         /* earned by a write to the peer, and */
	SQ_TOLL_SENT_BYTES = 128, /* one more for this number of bytes */
	SQ_TOLL_HEAD_MAX = 49152, /* bytes of a request's head, HTTP/1.1's too */
	SQ_TOLL_HEAD_FREE = 16384, /* of these, those that are not counted where a body may be */
	SQ_TOLL_FIELDS_MAX = 100,  /* fields in a head, h2o's maximum for HTTP/1.1 */
	SQ_TOLL_TRAILED = 32,      /* requests with trailers that h2o has not handed over */
};

/* A connection's account.  Begins with sq_toll_init(). */
struct sq_toll {
	int64_t left;
	uint64_t paid_ms;        /* time up to which time has earned */
	size_t head;             /* of the request whose head arrives */
	struct sq_fields fields; /* of that head */
	size_t heads;            /* bytes of heads in the last sq_toll_take() */
	uint32_t stream;         /* the last one that a head has opened */
	uint32_t trailed[SQ_TOLL_TRAILED];
	unsigned n_trailed;
};

void sq_toll_init(struct sq_toll *, uint64_t now_ms);
/* Charges the complete frames at the beginning of 'p'.  A frame that 'len' cuts is charged when it
 * is complete at the beginning of a later input. */
void sq_toll_take(struct sq_toll *, const unsigned char *p, size_t len);
/* Whether the present head has too many bytes or fields. */
bool sq_toll_head_too_large(const struct sq_toll *);
/* Whether trailers have come of the request on that stream, which h2o takes for headers; it is forgotten.
 * With more than SQ_TOLL_TRAILED at a time everything is spent. */
bool sq_toll_trailed(struct sq_toll *, uint32_t stream);
void sq_toll_spend(struct sq_toll *, unsigned cost);
void sq_toll_earn(struct sq_toll *, size_t gain);
/* Adds the earnings of time; false: everything is spent. */
bool sq_toll_good(struct sq_toll *, uint64_t now_ms);

#endif
