/* Output queue of a socket; see output.h. */
#include "sidecar/mqtt/output.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/mem.h"

enum {
	IOV_N = 64,
	SPARE_CAP_MAX = 262144,
	FAST_CAP_MAX = 4096, /* a buffer up to this size grows to four times that, not twice */
};

struct sq_output_ref {
	uint64_t after; /* bytes of 'buf', ever, that come before it */
	struct sq_block *block;
	const unsigned char *p;
	size_t len;
};

unsigned char *
sq_output_reserve(struct sq_output *o, struct sq_output_cache *cache, size_t n)
{
	if (o->buf.base == NULL && cache->n > 0)
		o->buf = cache->spare[--cache->n];
	else if (sq_buf_len(&o->buf) + n > o->buf.cap && o->buf.cap <= FAST_CAP_MAX)
		sq_buf_reserve(&o->buf, 3 * o->buf.cap > n ? 3 * o->buf.cap : n);
	return sq_buf_reserve(&o->buf, n);
}

void
sq_output_commit(struct sq_output *o, size_t n)
{
	sq_buf_commit(&o->buf, n);
	o->queued += n;
}

void
sq_output_ref(struct sq_output *o, struct sq_block *block, const void *p, size_t len)
{
	if (o->n_refs == o->refs_cap) {
		o->refs_cap = o->refs_cap == 0 ? 4 : o->refs_cap * 2;
		o->refs = sq_xrealloc(o->refs, o->refs_cap * sizeof *o->refs);
	}
	o->refs[o->n_refs++] = (struct sq_output_ref){.after = o->buf_done + sq_buf_len(&o->buf),
	    .block = sq_block_ref(block),
	    .p = p,
	    .len = len};
	o->queued += len;
}

void
sq_output_mark(struct sq_output *o, uint64_t size)
{
	struct sq_output_mark *m = &o->mark[o->sealed ? 1 : 0];

	m->end = o->queued;
	m->msgs++;
	m->bytes += size;
}

/* Lists what is to be written; returns the number of elements. */
static int
output_gather(const struct sq_output *o, struct iovec *iov)
{
	const unsigned char *p = sq_buf_data(&o->buf);
	uint64_t at = o->buf_done, end = o->buf_done + sq_buf_len(&o->buf);
	uint32_t ref = 0;
	int n = 0;

	while (n < IOV_N && (at < end || ref < o->n_refs)) {
		uint64_t stop = ref < o->n_refs ? o->refs[ref].after : end;

		if (at < stop) {
			iov[n++] = (struct iovec){(void *)(uintptr_t)p, (size_t)(stop - at)};
			p += stop - at;
			at = stop;
		} else {
			iov[n++] = (struct iovec){
			    (void *)(uintptr_t)o->refs[ref].p, o->refs[ref].len};
			ref++;
		}
	}
	return n;
}

/* Takes 'n' written bytes off the front. */
static void
output_advance(struct sq_output *o, size_t n)
{
	uint32_t done = 0;

	o->written += n;
	while (n > 0) {
		uint64_t buffered = done < o->n_refs ? o->refs[done].after - o->buf_done
						     : sq_buf_len(&o->buf);
		size_t take = buffered < n ? (size_t)buffered : n;

		sq_buf_drain(&o->buf, take);
		o->buf_done += take;
		n -= take;
		if (n == 0 || done == o->n_refs)
			break;
		take = o->refs[done].len < n ? o->refs[done].len : n;
		o->refs[done].p += take;
		o->refs[done].len -= take;
		n -= take;
		if (o->refs[done].len > 0)
			break;
		sq_block_unref(&o->refs[done].block);
		done++;
	}
	if (done == 0)
		return;
	o->n_refs -= done;
	for (uint32_t i = 0; i < o->n_refs; i++)
		o->refs[i] = o->refs[i + done];
}

/* Collects the marks that were passed. */
static void
output_marks(struct sq_output *o, uint64_t *msgs, uint64_t *bytes)
{
	*msgs = *bytes = 0;
	for (int i = 0; i < 2 && o->mark[0].msgs != 0 && o->mark[0].end <= o->written; i++) {
		*msgs += o->mark[0].msgs;
		*bytes += o->mark[0].bytes;
		o->mark[0] = o->mark[1];
		o->mark[1] = (struct sq_output_mark){0};
	}
	o->sealed = o->mark[0].msgs != 0;
}

/* Gives the memory of an empty output back. */
static void
output_rest(struct sq_output *o, struct sq_output_cache *cache)
{
	if (o->buf.base != NULL && cache->n < SQ_ARRAY_LEN(cache->spare) &&
	    o->buf.cap <= SPARE_CAP_MAX) {
		cache->spare[cache->n++] = o->buf;
		o->buf = (struct sq_buf){0};
	}
	sq_buf_fini(&o->buf);
	free(o->refs);
	o->refs = NULL;
	o->refs_cap = 0;
}

int
sq_output_write(
    struct sq_output *o, struct sq_output_cache *cache, int fd, uint64_t *msgs, uint64_t *bytes)
{
	struct iovec iov[IOV_N];
	int rc = 0;

	while (sq_output_len(o) > 0) {
		size_t want = 0;
		int n = output_gather(o, iov);
		ssize_t got = n == 1 ? write(fd, iov[0].iov_base, iov[0].iov_len)
				     : writev(fd, iov, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			rc = errno == EAGAIN || errno == EWOULDBLOCK ? SQ_EAGAIN : SQ_EIO;
			break;
		}
		for (int i = 0; i < n; i++)
			want += iov[i].iov_len;
		output_advance(o, (size_t)got);
		if ((size_t)got < want) {
			rc = SQ_EAGAIN;
			break;
		}
	}
	output_marks(o, msgs, bytes);
	if (sq_output_len(o) == 0)
		output_rest(o, cache);
	return rc;
}

void
sq_output_drop(struct sq_output *o, uint64_t *msgs, uint64_t *bytes)
{
	*msgs = o->mark[0].msgs + o->mark[1].msgs;
	*bytes = o->mark[0].bytes + o->mark[1].bytes;
	for (uint32_t i = 0; i < o->n_refs; i++)
		sq_block_unref(&o->refs[i].block);
	free(o->refs);
	sq_buf_fini(&o->buf);
	*o = (struct sq_output){0};
}

void
sq_output_cache_fini(struct sq_output_cache *cache)
{
	while (cache->n > 0)
		sq_buf_fini(&cache->spare[--cache->n]);
}
