/* Fuzzes sq_traceparent_parse() and sq_trace_find(): what is accepted comes out of
 * sq_traceparent_format() with the same ids, is accepted again, and has no all-zero id. */
#include <stdlib.h>
#include <string.h>

#include "core/trace.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
check(const struct sq_trace *t, struct sq_bytes text)
{
	static const unsigned char zero[SQ_TRACE_ID];
	char again[SQ_TRACEPARENT_LEN + 1];
	struct sq_trace second;

	sq_traceparent_format(t, again);
	if (memcmp(t->id, zero, SQ_TRACE_ID) == 0 || memcmp(t->span, zero, SQ_SPAN_ID) == 0)
		abort();
	if (sq_traceparent_parse(sq_bytes_of(again), &second) != 0 ||
	    memcmp(&second.id, &t->id, SQ_TRACE_ID) != 0 ||
	    memcmp(&second.span, &t->span, SQ_SPAN_ID) != 0 || second.sampled != t->sampled)
		abort();
	/* The ids are as they were written; the flags may have had more bits. */
	if (text.len > 0 && memcmp(again + 2, text.p + 2, SQ_TRACEPARENT_LEN - 4) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct sq_bytes text = {data, size};
	struct sq_trace t, again;

	if (sq_traceparent_parse(text, &t) == 0)
		check(&t, text);
	if (sq_trace_find(text, &t) == SQ_TRACE_GOOD) {
		check(&t, (struct sq_bytes){0});
		if (sq_trace_sampled(text, &again) != t.sampled)
			abort();
	} else if (sq_trace_sampled(text, &again)) {
		abort();
	}
	return 0;
}
