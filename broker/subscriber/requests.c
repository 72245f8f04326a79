#include "broker/subscriber/requests.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/record.h"
#include "broker/group/group.h"
#include "broker/subscriber/lease.h"
#include "broker/subscriber/pull_past.h"
#include "broker/subscriber/pull_txn.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "core/wallclock.h"
#include "web/worker.h"

enum {
	REQUESTS_MAX = 10000, /* of a queue */
	REQUESTS_BYTES = 16 << 20,
	SWEEP_MAX = 1000, /* forgotten in one go */
	EVICT_MAX = 2,    /* with one that is added */
	VERSION = 1,
	HEAD = 1 + 8 + 8, /* of a record, in front of the value that memory has, too */
	ANSWER = 8 + 2,   /* of that: the print and the number of messages */
	PUBLISHED = 1 + 1 + 4 + 16,
};

void
sq_requests_init(struct sq_pull *p)
{
	sq_settled_init(&p->requests, REQUESTS_MAX, REQUESTS_BYTES);
}

void
sq_requests_fini(struct sq_pull *p)
{
	sq_settled_fini(&p->requests);
}

/* Names. */

static int
lease_order(const void *a, const void *b)
{
	const struct sq_bytes *x = a, *y = b;

	return memcmp(x->p, y->p, SQ_LEASE_LENGTH);
}

/* Collects the leases in their order: those that are acknowledged, or all; returns how many. */
static size_t
request_leases(const struct sq_queue_settle *in, bool all, struct sq_bytes *out)
{
	size_t n = 0;

	for (uint16_t i = 0; i < in->n; i++) {
		if (all || in->entries[i].end == SQ_LEASE_ACK)
			out[n++] = in->entries[i].lease;
	}
	if (n > 0)
		qsort(out, n, sizeof *out, lease_order);
	return n;
}

/* Whether a lease ends by the request. */
static bool
request_ends(const struct sq_queue_settle *in)
{
	for (uint16_t i = 0; i < in->n; i++) {
		if (in->entries[i].end != SQ_LEASE_EXTEND)
			return true;
	}
	return false;
}

static void
request_hash(uint64_t queue, uint64_t print, const struct sq_bytes *leases, size_t n,
    struct sq_settled_name *out)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	struct sq_buf text = {0};

	sq_buf_u64(&text, queue);
	if (print != 0)
		sq_buf_u64(&text, print);
	for (size_t i = 0; i < n; i++)
		sq_buf_append(&text, leases[i].p, leases[i].len);
	if (EVP_Digest(sq_buf_data(&text), sq_buf_len(&text), md, NULL, EVP_sha256(), NULL) != 1)
		abort(); /* the library lacks what every build of it has */
	sq_buf_fini(&text);
	*out = (struct sq_settled_name){sq_get64(md), sq_get64(md + 8)};
}

bool
sq_request_name(
    const struct sq_pull *p, const struct sq_queue_settle *in, struct sq_settled_name *out)
{
	struct sq_bytes *leases = sq_xmalloc((in->n + 1u) * sizeof *leases);
	size_t n = request_leases(in, true, leases);
	bool once = true;

	for (size_t i = 1; i < n && once; i++)
		once = lease_order(&leases[i - 1], &leases[i]) != 0;
	n = request_leases(in, false, leases);
	if (n == 0)
		n = request_leases(in, true, leases);
	/* Leases that go on are named again: by another request, as a rule. */
	request_hash(p->group->id, request_ends(in) ? 0 : in->print, leases, n, out);
	free(leases);
	return once;
}

/* Answers. */

static void
request_restore(const struct sq_settled_entry *e, struct sq_call *c)
{
	struct sq_reader r = sq_reader(sq_buf_data(&e->value), sq_buf_len(&e->value));
	struct sq_published *list;
	size_t size;
	uint16_t n;

	(void)sq_read64(&r);
	n = sq_read16(&r);
	size = n * sizeof *list;
	list = (void *)sq_buf_reserve(&c->store, size);
	memset(list, 0, size);
	for (uint16_t i = 0; i < n; i++) {
		list[i].code = sq_read8(&r);
		list[i].how = sq_read8(&r);
		list[i].matched = sq_read32(&r);
		memcpy(list[i].id, sq_read_bytes(&r, sizeof list[i].id), sizeof list[i].id);
	}
	sq_buf_commit(&c->store, size);
	c->out.queue.published = list;
}

enum sq_request_known
sq_request_find(const struct sq_pull *p, const struct sq_settled_name *name, struct sq_call *c)
{
	const struct sq_queue_settle *in = &c->in.queue.in.settle;
	const struct sq_settled_entry *e = sq_settled_find(&p->requests, name);

	if (e == NULL)
		return SQ_REQUEST_NEW;
	if (sq_get64(sq_buf_data(&e->value)) != in->print ||
	    sq_get16(sq_buf_data(&e->value) + 8) != in->n_msgs)
		return SQ_REQUEST_OTHER;
	request_restore(e, c);
	return SQ_REQUEST_KNOWN;
}

static void
request_forget(struct sq_pull *p, struct sq_txn *txn, struct sq_settled_entry *e)
{
	struct sq_record_key key = sq_request_record(&e->name);

	sq_record_delete(txn, &key);
	sq_settled_remove(&p->requests, e);
}

/* The record: u8 version 1, u64 the wall-clock ms until which it is remembered, u64 the queue; u64 the
 * print of the request, u16 messages, and of each u8 code, u8 enum sq_published_how, u32 matched
 * queues, 16 bytes of id. */
void
sq_request_add(struct sq_pull *p, struct sq_txn *txn, const struct sq_settled_name *name,
    const struct sq_queue_settle *in, const struct sq_published *published)
{
	uint64_t now_ms = sq_worker_now_ms(p->shard->worker);
	uint64_t ends_ms = now_ms + sq_pulls_window_ms(p->all);
	struct sq_record_key key = sq_request_record(name);
	struct sq_buf value = {0}, record = {0};

	sq_buf_u64(&value, in->print);
	sq_buf_u16(&value, in->n_msgs);
	for (uint16_t i = 0; i < in->n_msgs; i++) {
		sq_buf_u8(&value, published[i].code);
		sq_buf_u8(&value, published[i].how);
		sq_buf_u32(&value, published[i].matched);
		sq_buf_append(&value, published[i].id, sizeof published[i].id);
	}
	sq_buf_u8(&record, VERSION);
	sq_buf_u64(&record, sq_wallclock_from_mono(ends_ms, now_ms));
	sq_buf_u64(&record, p->group->id);
	sq_buf_append(&record, sq_buf_data(&value), sq_buf_len(&value));
	sq_record_write(txn, &key, &record);
	sq_pull_txn_keep_key(p); /* for the leases of who repeats it after a restart */
	sq_settled_add(&p->requests, name, ends_ms, &value)->stored = true;
	sq_pull_evict(p, &p->requests, EVICT_MAX, txn, request_forget);
}

void
sq_requests_sweep(struct sq_pull *p)
{
	sq_pull_evict(p, &p->requests, SWEEP_MAX, NULL, request_forget);
}

/* The start. */

uint64_t
sq_request_queue(struct sq_bytes value)
{
	size_t n;

	if (value.len < HEAD + ANSWER || value.p[0] != VERSION)
		return 0;
	n = sq_get16(value.p + HEAD + 8);
	return value.len == HEAD + ANSWER + n * PUBLISHED ? sq_get64(value.p + 9) : 0;
}

void
sq_request_load(
    struct sq_pull *p, const struct sq_record_key *key, struct sq_bytes value, uint64_t now_ms)
{
	struct sq_settled_name name = {key->id, key->sub};
	uint64_t ends_ms = sq_wallclock_to_mono(sq_get64(value.p + 1), now_ms);
	struct sq_buf answer = {0};

	sq_buf_append(&answer, value.p + HEAD, value.len - HEAD);
	sq_settled_add(&p->requests, &name, ends_ms, &answer)->stored = true;
}
