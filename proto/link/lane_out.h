/* The sender of one lane (docs/link.md, "State: a lane at the sidecar").
 *
 *   sq_lane_out_message() -> open batch -> sealed -> flying -> answered
 *                                            ^         |          |
 *                                            +- failed-+   outcomes, in order
 *
 * Pure: no sockets, no clock, no randomness.  A payload is copied once, into the batch from which
 * it is posted.  The owner takes batches out as flights, posts them, and reports the end of each
 * flight; outcomes leave in number order.  A batch stays in memory while a flight of it is open,
 * so an attach may send it again before the older request has been answered.
 *
 * A batch has a mark, the number of the connection's last request to subscribe before its entries
 * (lane_mark.h); all its entries have the same. */
#ifndef SQ_PROTO_LINK_LANE_OUT_H
#define SQ_PROTO_LINK_LANE_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/msg.h"
#include "proto/link/frame.h"

struct sq_lane_out;
struct sq_lane_batch;

/* A publish as it came from the client; views are copied. */
struct sq_lane_publish {
	uint8_t qos;       /* of the client's packet, which decides the acknowledgement */
	uint8_t qos_least; /* QoS to which a rule raises the message; no effect below 'qos' */
	bool retain;
	uint16_t packet_id; /* 0 with QoS 0 */
	uint32_t expiry_s;
	struct sq_bytes topic, props, payload; /* 'props': only forwarded properties */
};

/* The QoS of the message itself, from the publisher's packet or raised. */
static inline uint8_t
sq_lane_publish_qos(const struct sq_lane_publish *m)
{
	return m->qos > m->qos_least ? m->qos : m->qos_least;
}

/* One batch on its way: the body is 'header', then 'entries'. */
struct sq_lane_flight {
	struct sq_lane_batch *batch;
	uint32_t turn; /* number of this flight among those of its batch */
	uint64_t run, first;
	uint64_t upto; /* outcomes of all numbers up to this one have arrived */
	uint16_t n;
	unsigned char header[SQ_BATCH_HEADER]; /* its first sq_batch_header_size() bytes count */
	struct sq_bytes entries;               /* valid until the flight has ended */
};

struct sq_lane_outcome {
	uint8_t kind;      /* SQ_ENTRY_MESSAGE or SQ_ENTRY_RELEASE */
	uint8_t qos;       /* of the client's packet */
	uint8_t image_qos; /* of the message; above 'qos' where a rule raised it */
	uint8_t reason;    /* MQTT 5 reason code */
	uint8_t refusal;   /* enum sq_refusal, where it is known; else 0 */
	uint16_t packet_id;
	bool own;             /* refused here, not by the broker */
	struct sq_bytes text; /* reason of a refusal, for people; may be empty; valid until the
			       * next call for the lane */
};

/* An empty lane ('lane' is 0 or 1) that takes entries up to 'bytes_max', at
 * least one.  'run' is random. */
struct sq_lane_out *sq_lane_out_new(unsigned lane, uint64_t run, size_t bytes_max);
/* Frees '*lp', if any.  No flight may be open. */
void sq_lane_out_free(struct sq_lane_out **lp);

/* Adds an entry.  SQ_EAGAIN: the lane is at its bound; stop reading from the
 * client until sq_lane_out_room().  SQ_ETOOBIG: above what an image can say. */
int sq_lane_out_message(struct sq_lane_out *, const struct sq_lane_publish *) SQ_MUST_CHECK;
int sq_lane_out_release(struct sq_lane_out *, uint16_t packet_id) SQ_MUST_CHECK;
/* Adds to lane 1 a publish of QoS 1 or 2 that is refused here with 'reason', or dropped and
 * acknowledged (success).  It takes a number, so its outcome leaves in its place.  'text', of a
 * refusal, is copied.  SQ_EAGAIN as above. */
int sq_lane_out_refused(struct sq_lane_out *, uint8_t qos, uint16_t packet_id, uint8_t reason,
    uint8_t refusal, struct sq_bytes text) SQ_MUST_CHECK;
/* Whether at least a quarter of the bound is free. */
bool sq_lane_out_room(const struct sq_lane_out *);
/* Bytes of all entries whose outcomes are not handed out yet. */
size_t sq_lane_out_bytes(const struct sq_lane_out *);
/* Whether the outcomes of all entries are handed out. */
bool sq_lane_out_idle(const struct sq_lane_out *);
/* The last number given out, for Detach. */
uint64_t sq_lane_out_last(const struct sq_lane_out *);

/* Fills 'out' with the next batch to post, if its mark is at most 'mark'.  False: there is none, or
 * SQ_BATCH_FLYING_MAX batches fly. */
bool sq_lane_out_take(struct sq_lane_out *, uint32_t mark, struct sq_lane_flight *out);

/* Ends of a flight; exactly one of them for each flight taken. */
/* 200.  SQ_EINVAL: the answer does not fit the batch, and the flight has failed. */
int sq_lane_out_answered(
    struct sq_lane_out *, const struct sq_lane_flight *, const struct sq_outcomes *) SQ_MUST_CHECK;
/* No answer, 429, 5xx, 409 epoch: the batch goes again. */
void sq_lane_out_failed(struct sq_lane_out *, const struct sq_lane_flight *);
/* 409 gap.  SQ_ESTALE: the broker lacks numbers that it had accepted; the owner attaches. */
int
sq_lane_out_gap(struct sq_lane_out *, const struct sq_lane_flight *, uint64_t last) SQ_MUST_CHECK;
/* 409 run.  SQ_ESTALE: the owner attaches, which starts a new run. 0: the answer was too late to
 * matter. */
int sq_lane_out_run_lost(struct sq_lane_out *, const struct sq_lane_flight *) SQ_MUST_CHECK;
/* 413: the message gets 'reason', with 'refusal' and 'text' as above, and is not sent again.
 * SQ_ESTALE: the owner attaches first, because the number cannot be taken back otherwise. */
int sq_lane_out_too_big(struct sq_lane_out *, const struct sq_lane_flight *, uint8_t reason,
    uint8_t refusal, struct sq_bytes text) SQ_MUST_CHECK;

struct sq_lane_attach {
	uint64_t last; /* of this lane, from Attached */
	bool same;     /* the lane has sent to this incarnation before */
	bool clean;    /* the incarnation changed by the client's own clean start */
	uint64_t run;  /* random, for a new run */
};

/* The session is attached: batches that were flying go again. */
void sq_lane_out_attached(struct sq_lane_out *, const struct sq_lane_attach *);

/* The next outcome in number order; false: none is there. */
bool sq_lane_out_outcome(struct sq_lane_out *, struct sq_lane_outcome *out);
/* Takes the outcome just handed out back: its message is not finished.  No outcome leaves until
 * sq_lane_out_retry() has sent the message once more; its new outcome is then handed out in the
 * old place. */
void sq_lane_out_hold(struct sq_lane_out *);
bool sq_lane_out_held(const struct sq_lane_out *);
/* Sends the held message again under a new number; no effect while it is on its way. */
void sq_lane_out_retry(struct sq_lane_out *);
/* Gives up the held message: later outcomes are handed out again. */
void sq_lane_out_unhold(struct sq_lane_out *);

#endif
