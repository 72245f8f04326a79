/* The bodies and frames of the link; docs/link.md has their layout.
 *
 * Pure: encoders append to a buffer, decoders yield views into their input.  A decoder returns
 * SQ_EINVAL for malformed input, trailing bytes included; counts are checked against the size of
 * the input before anything is read.
 *
 * If older versions of the link have another layout, the functions take the link's version. */
#ifndef SQ_PROTO_LINK_FRAME_H
#define SQ_PROTO_LINK_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/bytes.h"
#include "core/err.h"
#include "core/msg.h"
#include "proto/link/limits.h"
#include "proto/link/notes.h"
#include "proto/link/subs.h"

enum {
	SQ_LINK_VERSION = 3,     /* the newest version that this program speaks */
	SQ_LINK_VERSION_MIN = 1, /* the oldest one, and that of a peer which names no version */
};

/* The version of a link to a peer that speaks versions up to 'wanted'; 0: none. */
static inline unsigned
sq_link_version_both(uint64_t wanted)
{
	return wanted > SQ_LINK_VERSION ? SQ_LINK_VERSION : (unsigned)wanted;
}

enum {
	SQ_BATCH_FLYING_MAX = 4,    /* batches of a lane in flight */
	SQ_BATCH_BYTES_MAX = 32768, /* of a batch with more than one entry */
	SQ_BATCH_HEADER = 32,       /* bytes, from version 2 of the link on */
	SQ_BATCH_HEADER_V1 = 28,
	SQ_ENTRY_HEADER = 4,
	SQ_HEARTBEAT_MS = 5000,   /* between two heartbeats of a broker */
	SQ_LINK_STREAMS_MAX = 60, /* requests of a link at a time, deliveries not counted */
	SQ_BODY_SLACK = 65536,    /* the body limit is the maximum packet size and this */
	SQ_PACKET_MAX = 16 << 20, /* the greatest value of a broker's limits.max-packet */
	SQ_FRAME_MAX = SQ_PACKET_MAX + (2 << 20), /* such a packet with all its targets */
	SQ_DELIVER_TARGETS_MAX = 1024,
	SQ_ORIGIN_SIZE = 25,
	SQ_ADDRESS_MAX = 255,                         /* bytes of a broker's address */
	SQ_OPEN_ID_SIZE = 2 + 1 + 8 + SQ_ORIGIN_SIZE, /* in Attach */
};

struct sq_origin {
	uint64_t incarnation, run, number;
	uint8_t copy; /* 0 live, 1 retained */
};

static inline bool
sq_origin_equal(const struct sq_origin *a, const struct sq_origin *b)
{
	return a->number == b->number && a->run == b->run && a->incarnation == b->incarnation &&
	    a->copy == b->copy;
}

void sq_origin_put(struct sq_buf *, const struct sq_origin *);
struct sq_origin sq_origin_get(struct sq_reader *);

enum sq_open_state {
	SQ_OPEN_QOS1 = 1,
	SQ_OPEN_QOS2 = 2,
	SQ_OPEN_RECEIVED = 3,
	SQ_OPEN_ORPHAN = 4,
};

/* A delivery that is not finished; 'delivery' only in an answer. */
struct sq_open_id {
	uint16_t packet_id;
	uint8_t state; /* enum sq_open_state */
	uint64_t queue;
	struct sq_origin origin;
	uint64_t delivery;
};

enum {
	SQ_ATTACH_CLEAN_START = 1,
	SQ_ATTACH_WILL = 2,
	SQ_ATTACH_MQTT5 = 4,
	SQ_ATTACH_KEEPER = 8,
	SQ_ATTACH_GONE = 16, /* the client has left: the sidecar only finishes open exchanges */
	SQ_ATTACH_TELL = 32, /* version 2: the sidecar does not know the session's subscriptions */
};

struct sq_attach {
	uint64_t instance, ordinal;
	uint32_t attempt;
	uint64_t link;
	uint8_t flags;
	uint32_t expiry_s;
	uint16_t receive_max;
	uint64_t incarnation; /* credit is not here: settlements grant it once the epoch is known */
	uint32_t will_delay_s;
	struct sq_bytes will; /* an image, empty without SQ_ATTACH_WILL */
	struct sq_bytes open; /* encoded; walk with sq_open_id_next() */
	uint16_t n_open;
};

/* Appends an Attach.  'ids' has 'a->n_open' open ids; 'a->open' is ignored. */
void sq_attach_encode(struct sq_buf *, const struct sq_attach *a, const struct sq_open_id *ids);
int sq_attach_decode(const void *p, size_t len, struct sq_attach *out) SQ_MUST_CHECK;

enum { SQ_ATTACHED_PRESENT = 1, SQ_ATTACHED_RENEWED = 2 };

struct sq_attached {
	uint64_t epoch, incarnation, store;
	bool present;
	bool renewed; /* the broker has only the stored part of a transient session */
	uint32_t max_packet;
	uint32_t expiry_s; /* granted */
	uint64_t last[SQ_LANES];
	struct sq_bytes held; /* n_held big-endian u16 */
	uint16_t n_held;
	struct sq_bytes open; /* n_open by sq_open_id_put(), with delivery ids */
	uint16_t n_open;
	struct sq_limits limits; /* the broker's; from version 1: sq_limits_unsaid */
};

/* Appends an Attached, with 'held' and 'open' as they are. */
void sq_attached_encode(struct sq_buf *, const struct sq_attached *, unsigned version);
int sq_attached_decode(
    const void *p, size_t len, unsigned version, struct sq_attached *out) SQ_MUST_CHECK;
/* Appends an open id to a list; 'answer': with its delivery id. */
void sq_open_id_put(struct sq_buf *, const struct sq_open_id *, bool answer);
/* Reads the next open id of 'open'; 'answer': with delivery ids.  The decoders above have checked
 * the length. */
struct sq_open_id sq_open_id_next(struct sq_bytes *open, bool answer);

enum { SQ_ENTRY_MESSAGE = 1, SQ_ENTRY_RELEASE = 2 };

struct sq_batch {
	uint8_t lane;
	uint16_t n;
	uint64_t run, first, upto;
	uint32_t mark; /* the last mark given out before the first entry; 0 in version 1 */
	struct sq_bytes entries;
};

struct sq_entry {
	uint8_t kind;
	uint16_t packet_id;
	const unsigned char *image; /* NULL for a release; checked */
};

/* Bytes of a batch's header in a version of the link. */
static inline size_t
sq_batch_header_size(unsigned version)
{
	return version >= 2 ? SQ_BATCH_HEADER : SQ_BATCH_HEADER_V1;
}

/* Writes the SQ_BATCH_HEADER bytes of a batch's header; an older version has only the first
 * sq_batch_header_size() of them.  Entries follow. */
void sq_batch_header(unsigned char *out, const struct sq_batch *);
void sq_entry_header(unsigned char *out, uint8_t kind, uint16_t packet_id);
/* Checks the whole batch, every entry included: kinds, images, count, lane
 * rules (lane 0: QoS 0, not retained, no packet id, no release). */
int
sq_batch_decode(const void *p, size_t len, unsigned version, struct sq_batch *out) SQ_MUST_CHECK;
/* The next entry of a batch that was decoded; call it 'n' times. */
struct sq_entry sq_batch_next(struct sq_bytes *entries);

struct sq_outcomes {
	uint64_t first;
	uint16_t n;
	const unsigned char *codes;
	struct sq_bytes notes; /* on codes, for sq_note_next(); empty in version 1 */
};

/* Version 1 leaves the notes out. */
void sq_outcomes_encode(struct sq_buf *, const struct sq_outcomes *, unsigned version);
int sq_outcomes_decode(
    const void *p, size_t len, unsigned version, struct sq_outcomes *out) SQ_MUST_CHECK;

enum sq_settle_kind {
	SQ_SETTLE_ACK = 1,
	SQ_SETTLE_RECEIVED = 2,
	SQ_SETTLE_COMPLETE = 3,
	SQ_SETTLE_REQUEUE = 4,
	SQ_SETTLE_REJECT = 5,
};

struct sq_settle {
	uint8_t kind, reason;
	uint16_t n; /* consecutive ids, at least 1 */
	uint64_t delivery;
};

struct sq_settlements {
	uint64_t credit_msgs, credit_bytes;
	struct sq_bytes entries;
};

void sq_settlements_header(struct sq_buf *, uint64_t credit_msgs, uint64_t credit_bytes);
void sq_settle_put(struct sq_buf *, const struct sq_settle *);
int sq_settlements_decode(const void *p, size_t len, struct sq_settlements *out) SQ_MUST_CHECK;
/* Takes the next entry; false at the end. */
bool sq_settle_next(struct sq_bytes *entries, struct sq_settle *out);

/* Flags of a detach, from version 2 on. */
enum {
	SQ_DETACH_QUIET = 1, /* the client's connection did not break: deliveries that it has not
			      * settled go back without counting an attempt */
};

struct sq_detach {
	uint32_t expiry_s;
	uint8_t will; /* 1: publish it */
	uint8_t flags;
	uint64_t last[SQ_LANES];
};

void sq_detach_encode(struct sq_buf *, const struct sq_detach *, unsigned version);
int
sq_detach_decode(const void *p, size_t len, unsigned version, struct sq_detach *out) SQ_MUST_CHECK;

enum {
	SQ_FRAME_HEARTBEAT = 1, /* every SQ_HEARTBEAT_MS */
	SQ_FRAME_DELIVER = 2,
	SQ_FRAME_DETACHED = 3,
	SQ_FRAME_DRAINING = 4,
	SQ_FRAME_TRUST = 5,      /* from version 2 on */
	SQ_FRAME_SUBSCRIBED = 6, /* from version 2 on */
	SQ_FRAME_KEPT = 7,       /* from version 2 on */
	SQ_FRAME_STANDBY = 8,    /* from version 3 on */
};

/* A subscription that the session had before this attachment. */
struct sq_kept {
	uint8_t options; /* as in struct sq_sub */
	uint32_t sub_id; /* 0: none */
	struct sq_bytes filter;
};

struct sq_target {
	uint64_t epoch, delivery, queue;
	uint16_t packet_id;
	uint8_t flags; /* SQ_TARGET_... */
	uint8_t n_subs;
	const unsigned char *subs; /* n_subs big-endian u32 (decoding); or see put */
};

enum { SQ_TARGET_QOS = 3, SQ_TARGET_RETAIN = 4, SQ_TARGET_REDELIVERED = 8 };

struct sq_deliver {
	bool has_origin;
	uint32_t expiry_s;
	struct sq_origin origin;
	const unsigned char *image;
	uint16_t n;
	struct sq_bytes targets;
};

struct sq_frame {
	uint8_t type; /* enum above; the receiver skips a frame of an unknown type */
	struct sq_deliver deliver;
	uint64_t epoch;          /* SQ_FRAME_DETACHED, SQ_FRAME_SUBSCRIBED, SQ_FRAME_KEPT */
	uint8_t reason;          /* SQ_FRAME_DETACHED */
	struct sq_bytes text;    /* for people; empty in version 1 */
	struct sq_bytes address; /* SQ_FRAME_DRAINING, SQ_FRAME_STANDBY: HOST:PORT, or empty */
	uint64_t digest;         /* SQ_FRAME_TRUST: of the bundle (proto/link/trust.h) */
	uint32_t mark;           /* SQ_FRAME_SUBSCRIBED: of the answered request */
	uint16_t n_codes;        /* SQ_FRAME_SUBSCRIBED: one for each entry of the request */
	const unsigned char *codes;
	struct sq_bytes notes; /* on codes: for sq_note_next() */
	struct sq_bytes kept;  /* SQ_FRAME_KEPT: 'n_kept', for sq_kept_next() */
	uint16_t n_kept;
	bool last_kept; /* no more kept subscriptions follow */
};

void sq_frame_heartbeat(struct sq_buf *);
/* 'address': of the broker to go to, HOST:PORT; empty: any.  Versions before 3 leave it out. */
void sq_frame_draining(struct sq_buf *, struct sq_bytes address, unsigned version);
/* The address of the broker that would own next; empty: none.  Version 3. */
void sq_frame_standby(struct sq_buf *, struct sq_bytes address);
void sq_frame_trust(struct sq_buf *, uint64_t digest);
/* 'text' as in a note; version 1 leaves it out. */
void sq_frame_detached(
    struct sq_buf *, uint64_t epoch, uint8_t reason, struct sq_bytes text, unsigned version);
/* The answer to a Subscriptions with a mark (not 0); 'notes' as in Outcomes. */
void sq_frame_subscribed(struct sq_buf *, uint64_t epoch, uint32_t mark, const uint8_t *codes,
    uint16_t n, const struct sq_notes *notes);
/* 'entries' has 'n' subscriptions by sq_kept_put(); 'last': no more follow.  Only the last frame
 * may have none. */
void sq_frame_kept(struct sq_buf *, uint64_t epoch, bool last, uint16_t n, struct sq_bytes entries);
void sq_kept_put(struct sq_buf *, const struct sq_kept *);
struct sq_kept sq_kept_next(struct sq_bytes *entries);
/* Opens a deliver frame without targets at the end of 'b'; returns the offset
 * (from the buffer's data start) by which sq_deliver_target() finds it. */
size_t sq_deliver_open(
    struct sq_buf *, const struct sq_origin *origin, uint32_t expiry_s, const unsigned char *image);
/* Appends a target to the deliver frame at 'at', which must be the last thing in
 * the buffer.  'subs' are host-order identifiers.  SQ_EAGAIN: the frame is full. */
int sq_deliver_target(
    struct sq_buf *, size_t at, const struct sq_target *, const uint32_t *subs) SQ_MUST_CHECK;

/* Decodes the frame at 'p'.  0: 'used' is its whole size.  SQ_EAGAIN: bytes are missing, and 'used'
 * is the size that the frame needs in total (0: not known yet).  SQ_EINVAL: malformed.
 * SQ_ETOOBIG: above 'max' bytes. */
int sq_frame_decode(const unsigned char *p, size_t len, size_t max, struct sq_frame *out,
    size_t *used) SQ_MUST_CHECK;
struct sq_target sq_target_next(struct sq_bytes *targets);

#endif
