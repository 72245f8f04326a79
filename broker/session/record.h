/* The records of sessions.  All integers are big-endian; bytes16 is a u16 length
 * and as many bytes.
 *
 *  - SESSION: u8 1, u8 flags (1 durable, 2 left, 4 present, 8 detached, 16 an identity
 *    owns it, 32 a name follows what was superseded), bytes16 key, u64 owner, u32 expiry in
 *    s, u64 instance, u64 ordinal, u32 attempt, u64 and u64 instance and
 *    ordinal whose clean start was applied, u64 end of a detached session (wall-clock ms;
 *    0: never), u64 when its will is due (the same; 0: with its end), u32 will delay in s, u8 n, n × (u64 instance, u64 ordinal,
 *    u64 epoch) superseded, maybe bytes16 name of its owner's identity, the will's image
 *    or nothing.
 *  - LANE: u64 last number, u64 run, u64 number up to which outcomes are not kept; then
 *    u32 distance to the last number and u8 outcome of those kept that are not 0.
 *  - HELD: nothing.
 *  - OPEN: u8 state, u8 QoS, u8 retain, u8 0, u64 queue, u64 seq of the item, u64 order,
 *    origin (25 bytes), u16 n, n × u32 subscription identifiers.
 *  - SUBSCRIPTION: the entry as docs/link.md lays it out. */
#ifndef SQ_BROKER_SESSION_RECORD_H
#define SQ_BROKER_SESSION_RECORD_H

enum { SQ_SESSION_RECORD_VERSION = 1 };

enum {
	SQ_SESSION_DURABLE_FLAG = 1,
	SQ_SESSION_LEFT_FLAG = 2,
	SQ_SESSION_PRESENT_FLAG = 4,
	SQ_SESSION_DETACHED_FLAG = 8,
	SQ_SESSION_NAMED_FLAG = 32,
};

#endif
