/* Segment headers and records; see store/journal/record.h. */
#include "store/journal/record.h"

#include <string.h>

#include "core/bytes.h"
#include "core/crc32c.h"

/* Of a segment header; all within one sector, so that it is never torn. */
enum {
	HEAD_VERSION = 8,
	HEAD_ID = 16,
	HEAD_NO = 24,
	HEAD_FIRST = 32,
	HEAD_PREV = 40,
	HEAD_SYNCED = 48,
	HEAD_CRC = 56,
	HEAD_SECTOR = 512,
};
/* Of a record. */
enum { REC_TAG = 0, REC_LSN = 8, REC_SYNCED = 16, REC_LEN = 24, REC_CRC = 28 };

static const char magic[8] = {'S', 'Q', 'M', 'Q', 'J', 'R', 'N', 'L'};

void
sq_segment_head_put(unsigned char *out, const struct sq_segment_head *h)
{
	memset(out, 0, SQ_SEGMENT_HEADER);
	memcpy(out, magic, sizeof magic);
	sq_put32(out + HEAD_VERSION, h->version);
	sq_put64(out + HEAD_ID, h->id);
	sq_put64(out + HEAD_NO, h->no);
	sq_put64(out + HEAD_FIRST, h->first);
	sq_put64(out + HEAD_PREV, h->prev);
	sq_put64(out + HEAD_SYNCED, h->synced);
	sq_put32(out + HEAD_CRC, sq_crc32c(0, out, HEAD_CRC));
}

enum sq_head_state
sq_segment_head_get(const unsigned char *p, struct sq_segment_head *h)
{
	static const unsigned char zeros[HEAD_SECTOR];

	if (memcmp(p, zeros, HEAD_SECTOR) == 0)
		return SQ_HEAD_EMPTY;
	if (memcmp(p, magic, sizeof magic) != 0 ||
	    sq_get32(p + HEAD_CRC) != sq_crc32c(0, p, HEAD_CRC))
		return SQ_HEAD_BAD;
	h->version = sq_get32(p + HEAD_VERSION);
	h->id = sq_get64(p + HEAD_ID);
	h->no = sq_get64(p + HEAD_NO);
	h->first = sq_get64(p + HEAD_FIRST);
	h->prev = sq_get64(p + HEAD_PREV);
	h->synced = sq_get64(p + HEAD_SYNCED);
	return SQ_HEAD_VALID;
}

static uint64_t
mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
	v = (v ^ v >> 27) * 0x94d049bb133111ebu;
	return v ^ v >> 31;
}

uint64_t
sq_record_tag(uint64_t id, uint64_t segment)
{
	uint64_t tag = mix(id ^ mix(segment + 0x9e3779b97f4a7c15u));

	return tag != 0 ? tag : 1;
}

uint32_t
sq_record_begin(unsigned char *out, uint64_t tag, const struct sq_record *r)
{
	sq_put64(out + REC_TAG, tag);
	sq_put64(out + REC_LSN, r->lsn);
	sq_put64(out + REC_SYNCED, r->synced);
	sq_put32(out + REC_LEN, r->len);
	return sq_crc32c(0, out, REC_CRC);
}

void
sq_record_end(unsigned char *out, uint32_t crc)
{
	sq_put32(out + REC_CRC, crc);
}

bool
sq_record_get(const unsigned char *p, uint64_t tag, struct sq_record *r)
{
	if (sq_get64(p + REC_TAG) != tag)
		return false;
	r->lsn = sq_get64(p + REC_LSN);
	r->synced = sq_get64(p + REC_SYNCED);
	r->len = sq_get32(p + REC_LEN);
	return r->len >= SQ_RECORD_HEADER && r->len <= SQ_RECORD_LEN_MAX && r->synced < r->lsn;
}

bool
sq_record_verify(const unsigned char *p, uint32_t len)
{
	uint32_t crc = sq_crc32c(0, p, REC_CRC);

	crc = sq_crc32c(crc, p + SQ_RECORD_HEADER, len - SQ_RECORD_HEADER);
	return crc == sq_get32(p + REC_CRC);
}
