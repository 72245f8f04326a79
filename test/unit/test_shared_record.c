/* store/shared/record: what is sealed is read, and what is damaged is not. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "store/shared/record.h"

static struct sq_buf
sealed(const char *entries, uint64_t before, uint64_t lsn)
{
	static const unsigned char room[SQ_SHARED_HEADER];
	struct sq_buf b = {0};

	sq_buf_append(&b, room, sizeof room);
	sq_buf_append(&b, entries, strlen(entries));
	cr_assert_neq(sq_shared_record_seal(&b, before, lsn, 7, 1700000000), 0);
	return b;
}

/* Whether 'n' bytes, in memory of just that size, are read; what can't be read has a line. */
static bool
reads(const unsigned char *p, size_t n, struct sq_shared_record *out)
{
	unsigned char *copy = sq_xmalloc(n + !n);
	struct sq_buf why = {0};
	bool good;

	if (n > 0)
		memcpy(copy, p, n);
	good = sq_shared_record_read((struct sq_bytes){copy, n}, out, &why) == SQ_OK;
	cr_assert_eq(good, sq_buf_len(&why) == 0);
	cr_assert_null(sq_buf_len(&why) ? memchr(sq_buf_data(&why), '\n', sq_buf_len(&why)) : NULL);
	sq_buf_fini(&why);
	free(copy);
	return good;
}

Test(shared_record, what_is_sealed_is_read)
{
	struct sq_buf b = sealed("entries", 5, 9);
	struct sq_shared_record r;

	cr_assert(reads(sq_buf_data(&b), sq_buf_len(&b), &r));
	cr_assert_eq(r.format, 7);
	cr_assert_eq(r.time_s, 1700000000);
	cr_assert_eq(r.entries.len, 7);
	cr_assert_eq(r.chain, sq_shared_chain(5, 9, 7, r.crc));
	sq_buf_fini(&b);
}

/* The layout is a promise to logs that are there. */
Test(shared_record, bytes_stay_as_they_are)
{
	static const unsigned char want[] = {1, 0, 7, 0, 1, 0, 0, 0, 0xe3, 0x99, 0xf5, 0x90, 0x00,
	    0xf1, 0x53, 0x65, 0x9c, 0xe9, 0xf9, 0xb3, 0x0d, 0x6b, 0x23, 0xab, 0, 0, 0, 0, 0, 0, 0,
	    0, '1'};
	struct sq_buf b = sealed("1", 0, 1);

	cr_assert_eq(sq_buf_len(&b), sizeof want);
	cr_assert_arr_eq(sq_buf_data(&b), want, sizeof want);
	sq_buf_fini(&b);
}

Test(shared_record, chains_differ_by_each_part)
{
	uint64_t chain = sq_shared_chain(1, 2, 3, 4);

	cr_assert_neq(chain, sq_shared_chain(2, 2, 3, 4));
	cr_assert_neq(chain, sq_shared_chain(1, 3, 3, 4));
	cr_assert_neq(chain, sq_shared_chain(1, 2, 4, 4));
	cr_assert_neq(chain, sq_shared_chain(1, 2, 3, 5));
	cr_assert_eq(chain, sq_shared_chain(1, 2, 3, 4));
}

Test(shared_record, no_prefix_is_read)
{
	struct sq_buf b = sealed("entries", 0, 1);
	struct sq_shared_record r;

	for (size_t n = 0; n < sq_buf_len(&b); n++)
		cr_assert(!reads(sq_buf_data(&b), n, &r), "%zu bytes", n);
	sq_buf_u8(&b, 0);
	cr_assert(!reads(sq_buf_data(&b), sq_buf_len(&b), &r));
	sq_buf_fini(&b);
}

/* A flip of format and time is none that the record itself can tell; one of the chain, its reader. */
Test(shared_record, each_flipped_bit_is_told)
{
	struct sq_buf b = sealed("entries", 0, 1);
	unsigned char *p = sq_buf_data(&b);
	struct sq_shared_record was, r;

	cr_assert(reads(p, sq_buf_len(&b), &was));
	for (size_t bit = 0; bit < 8 * sq_buf_len(&b); bit++) {
		size_t at = bit / 8;
		bool free_form = (at >= 2 && at < 4) || (at >= 12 && at < 24);

		p[at] ^= (unsigned char)(1 << bit % 8);
		cr_assert_eq(reads(p, sq_buf_len(&b), &r), free_form, "bit %zu", bit);
		if (free_form)
			cr_assert(r.format != was.format || r.time_s != was.time_s ||
			    r.chain != was.chain);
		p[at] ^= (unsigned char)(1 << bit % 8);
	}
	sq_buf_fini(&b);
}

Test(shared_record, damaged_headers_end_with_an_answer)
{
	struct sq_buf b = sealed("some more of entries", 0, 1);
	unsigned char *p = sq_buf_data(&b), was[SQ_SHARED_HEADER];
	struct sq_shared_record r;
	uint64_t random = 1;
	unsigned read = 0;

	memcpy(was, p, sizeof was);
	for (unsigned i = 0; i < 200000; i++) {
		size_t n = sq_buf_len(&b);

		for (unsigned edits = i % 4 + 1; edits > 0; edits--) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
			p[(random >> 33) % SQ_SHARED_HEADER] = (unsigned char)(random >> 50);
		}
		n = (random >> 40) % 8 == 0 ? (random >> 20) % n : n;
		if (reads(p, n, &r)) {
			cr_assert_eq(r.entries.len, n - SQ_SHARED_HEADER);
			read++;
		}
		memcpy(p, was, sizeof was);
	}
	cr_assert_gt(read, 0);
	sq_buf_fini(&b);
}
