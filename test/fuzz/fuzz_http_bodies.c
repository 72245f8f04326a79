/* Any body of a batch, or of a settle: the HTTP API must come to a verdict. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/front/http/entries.h"
#include "broker/front/http/settle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 20 };

static const struct sq_http_bounds bounds = {
    .limits = {.topic_levels = 8, .max_qos = 2}, .max_packet = 4096};

static void
entries(struct sq_bytes body, enum sq_http_batch_form form)
{
	struct sq_http_event_in in = {.body = body, .tmpl = "events/{ce.type}", .now_ms = 1000};
	struct sq_http_entries e = {0};
	struct sq_http_fault fault = {0};
	int rc = sq_http_entries_read(&bounds, form, &in, MAX, &e, &fault);
	size_t good = 0;

	assert((rc == SQ_OK) == (sq_buf_len(&fault.detail) == 0));
	assert(e.n <= MAX && e.n_msgs <= e.n);
	for (size_t i = 0; i < e.n; i++) {
		good += e.rc[i] == SQ_OK;
		assert((e.rc[i] == SQ_OK) == (sq_buf_len(&e.faults[i].detail) == 0));
	}
	assert(good == e.n_msgs);
	for (size_t i = 0; i < e.n_msgs; i++)
		assert(sq_image_check(e.msgs[i].image, sq_image_size(e.msgs[i].image)) == SQ_OK);
	sq_http_entries_fini(&e);
	sq_http_fault_fini(&fault);
}

static void
settle(struct sq_bytes body)
{
	struct sq_http_settle s = {0};
	struct sq_http_fault fault = {0};
	int rc = sq_http_settle_read(&bounds, body, MAX, 1000, &s, &fault);

	assert((rc == SQ_OK) == (sq_buf_len(&fault.detail) == 0));
	assert(rc != SQ_OK || (s.in.n > 0 && s.in.n <= MAX && s.in.n_msgs <= MAX));
	for (uint16_t i = 0; rc == SQ_OK && i < s.in.n; i++)
		assert(s.in.entries[i].lease.p >= body.p &&
		    s.in.entries[i].lease.p + s.in.entries[i].lease.len <= body.p + body.len);
	sq_http_settle_fini(&s);
	sq_http_fault_fini(&fault);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_bytes body = {data, size};

	entries(body, SQ_HTTP_BATCH_LINES);
	entries(body, SQ_HTTP_BATCH_ARRAY);
	entries(body, SQ_HTTP_BATCH_EVENTS);
	settle(body);
	return 0;
}
