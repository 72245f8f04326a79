/* The bytes of a record; see store/shared/record.h. */
#include "store/shared/record.h"

#include <assert.h>

#include "core/crc32c.h"

enum {
	AT_VERSION = 0,
	AT_FORMAT = 2,
	AT_LENGTH = 4,
	AT_CRC = 8,
	AT_TIME = 12,
	AT_CHAIN = 16,
	AT_NONE = 24
};

static void
record_put(unsigned char *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

static uint64_t
record_get(const unsigned char *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = bytes; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static uint64_t
record_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t
sq_shared_chain(uint64_t before, uint64_t lsn, uint32_t length, uint32_t crc)
{
	uint64_t chain = record_mix(before + lsn * UINT64_C(0x9e3779b97f4a7c15));

	chain = record_mix(chain + ((uint64_t)length << 32 | crc) + UINT64_C(0x9e3779b97f4a7c15));
	return chain != 0 ? chain : 1; /* 0 says that a chain is not known */
}

uint64_t
sq_shared_record_seal(
    struct sq_buf *record, uint64_t before, uint64_t lsn, unsigned format, uint32_t time_s)
{
	size_t len = sq_buf_len(record);
	unsigned char *p = sq_buf_data(record);
	uint32_t length, crc;
	uint64_t chain;

	assert(len > SQ_SHARED_HEADER && len - SQ_SHARED_HEADER <= UINT32_MAX);
	length = (uint32_t)(len - SQ_SHARED_HEADER);
	crc = sq_crc32c(0, p + SQ_SHARED_HEADER, length);
	chain = sq_shared_chain(before, lsn, length, crc);
	record_put(p + AT_VERSION, SQ_SHARED_HEADER_VERSION, 2);
	record_put(p + AT_FORMAT, format, 2);
	record_put(p + AT_LENGTH, length, 4);
	record_put(p + AT_CRC, crc, 4);
	record_put(p + AT_TIME, time_s, 4);
	record_put(p + AT_CHAIN, chain, 8);
	record_put(p + AT_NONE, 0, 8);
	return chain;
}

int
sq_shared_record_read(struct sq_bytes data, struct sq_shared_record *out, struct sq_buf *why)
{
	const unsigned char *p = data.p;
	unsigned version;

	if (data.len < SQ_SHARED_HEADER) {
		sq_buf_printf(why, "it has %zu bytes, less than its header", data.len);
		return SQ_EINVAL;
	}
	version = (unsigned)record_get(p + AT_VERSION, 2);
	if (version != SQ_SHARED_HEADER_VERSION) {
		sq_buf_printf(why, "its header has version %u, and %u is what can be read", version,
		    SQ_SHARED_HEADER_VERSION);
		return SQ_EINVAL;
	}
	*out = (struct sq_shared_record){
	    .format = (unsigned)record_get(p + AT_FORMAT, 2),
	    .time_s = (uint32_t)record_get(p + AT_TIME, 4),
	    .crc = (uint32_t)record_get(p + AT_CRC, 4),
	    .chain = record_get(p + AT_CHAIN, 8),
	    .entries = {p + SQ_SHARED_HEADER, data.len - SQ_SHARED_HEADER},
	};
	if (out->entries.len == 0 || record_get(p + AT_LENGTH, 4) != out->entries.len) {
		sq_buf_printf(why, "it has %zu bytes of entries, and its header says %u",
		    out->entries.len, (unsigned)record_get(p + AT_LENGTH, 4));
		return SQ_EINVAL;
	}
	if (out->chain == 0 || record_get(p + AT_NONE, 8) != 0) {
		sq_buf_printf(why, "its header is damaged");
		return SQ_EINVAL;
	}
	if (sq_crc32c(0, out->entries.p, out->entries.len) != out->crc) {
		sq_buf_printf(why, "its entries do not have the checksum of its header");
		return SQ_EINVAL;
	}
	return SQ_OK;
}
