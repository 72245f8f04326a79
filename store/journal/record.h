/* The bytes of the journal: segment headers and records. docs/store.md is the specification.
 * Integers are big-endian.  Pure. */
#ifndef SQ_STORE_JOURNAL_RECORD_H
#define SQ_STORE_JOURNAL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/msg.h"
#include "store/journal/journal.h"

enum {
	SQ_SEGMENT_VERSION = 1,
	SQ_SEGMENT_HEADER = 4096, /* bytes before the first record */
	SQ_RECORD_HEADER = 32,
	SQ_RECORD_LEN_MAX = SQ_RECORD_HEADER + SQ_LOG_ENTRY_MAX,
};

struct sq_segment_head {
	uint32_t version;
	uint64_t id;     /* of the store */
	uint64_t no;     /* of the segment, from 1 */
	uint64_t first;  /* its first lsn; the segment before it ends at first - 1 */
	uint64_t prev;   /* the segment before it; 0: none */
	uint64_t synced; /* the last lsn that was durable when this was written */
};

enum sq_head_state {
	SQ_HEAD_VALID, /* of any version */
	SQ_HEAD_EMPTY, /* zeros: never used */
	SQ_HEAD_BAD,
};

/* Write and read a header of SQ_SEGMENT_HEADER bytes. */
void sq_segment_head_put(unsigned char *out, const struct sq_segment_head *);
enum sq_head_state sq_segment_head_get(const unsigned char *p, struct sq_segment_head *);

struct sq_record {
	uint64_t lsn;
	uint64_t synced; /* the last lsn that was durable when this was written */
	uint32_t len;    /* header and data */
};

/* The tag in the records of one segment.  A payload cannot pretend to be a record, because nobody
 * outside can guess the tag. */
uint64_t sq_record_tag(uint64_t id, uint64_t segment);
/* Writes a record's header in two steps: the CRC that sq_record_begin() returns is continued with
 * sq_crc32c() over the data, and given to sq_record_end(). */
uint32_t sq_record_begin(unsigned char *out, uint64_t tag, const struct sq_record *);
void sq_record_end(unsigned char *out, uint32_t crc);
/* Whether 'p' (SQ_RECORD_HEADER bytes) may begin a record of the segment. */
bool sq_record_get(const unsigned char *p, uint64_t tag, struct sq_record *);
/* Whether the record of 'len' bytes at 'p' verifies. */
bool sq_record_verify(const unsigned char *p, uint32_t len);

/* Records begin at multiples of 8. */
static inline uint64_t
sq_record_space(uint64_t len)
{
	return (len + 7) & ~(uint64_t)7;
}

#endif
