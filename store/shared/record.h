/* The bytes of a record of the shared log: a header, then the entries as store/log.h has them, one
 * behind the other.
 *
 *   u16 version of the header (1)   u16 format of the entries   u32 length of the entries
 *   u32 CRC-32C of the entries      u32 time (s since 1970)     u64 chain    u64 0
 *
 * little-endian.  'chain' is a digest of all records up to this one: two rounds of splitmix64's
 * finalizer over the chain before, lsn, length and CRC; it is not 0, and 0 is the one before the first
 * record.  So two logs that differ in one record differ in the chains of all that follow.  Pure. */
#ifndef SQ_STORE_SHARED_RECORD_H
#define SQ_STORE_SHARED_RECORD_H

#include <stdint.h>

#include "core/buf.h"
#include "core/msg.h"
#include "core/err.h"

enum { SQ_SHARED_HEADER = 32, SQ_SHARED_HEADER_VERSION = 1 };

struct sq_shared_record {
	unsigned format;
	uint32_t time_s;
	uint32_t crc;
	uint64_t chain;
	struct sq_bytes entries;
};

uint64_t sq_shared_chain(uint64_t before, uint64_t lsn, uint32_t length, uint32_t crc);
/* Writes the header into the first SQ_SHARED_HEADER bytes of 'record', whose entries, one byte or more,
 * follow there.
 * Returns its chain. */
uint64_t sq_shared_record_seal(
    struct sq_buf *record, uint64_t before, uint64_t lsn, unsigned format, uint32_t time_s);
/* SQ_EINVAL with a line in 'why': it is malformed, or its CRC is wrong.  'format' is the caller's to
 * judge. */
int sq_shared_record_read(
    struct sq_bytes data, struct sq_shared_record *out, struct sq_buf *why) SQ_MUST_CHECK;

#endif
