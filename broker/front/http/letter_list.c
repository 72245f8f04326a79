/* Dead letters that are looked at: see broker/front/http/letters.h. */
#include <stdint.h>

#include "broker/deed/answer.h"
#include "broker/front/http/answer.h"
#include "broker/front/http/asked.h"
#include "broker/front/http/letters.h"
#include "broker/front/http/object.h"
#include "broker/front/http/pulled.h"

enum { PEEK_DEFAULT = 20 };

static void
letters_answer(struct sq_http_ask *a, h2o_req_t *req)
{
	const struct sq_queue_out *o = &a->call.out.queue;
	const struct sq_pulled *p = (const void *)sq_buf_data(&o->pulled);
	size_t n = sq_queue_out_pulled(o);
	struct sq_buf body = {0};

	sq_buf_printf(&body, "{\"messages\":[");
	for (size_t i = 0; i < n; i++) {
		sq_buf_append(&body, ",", i > 0);
		sq_http_pulled_letter(&p[i], a->space, &body);
	}
	/* a place as a redrive has them, without an end */
	if (o->more)
		sq_buf_printf(&body, "],\"next\":\"%u.%llu.0\"}\n", o->next.queue,
		    (unsigned long long)o->next.from);
	else
		sq_buf_printf(&body, "],\"next\":null}\n");
	sq_http_answer(req, &a->request, 200, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}

int
sq_http_letters(struct sq_http_ask *a, h2o_req_t *req, const struct sq_http_route *route,
    struct sq_http_fault *fault)
{
	const char *peek = route->keys[SQ_HTTP_QUERY_PEEK],
		   *after = route->keys[SQ_HTTP_QUERY_AFTER];
	struct sq_call_queue *in = sq_http_ask_in(a);
	struct sq_deed_place at = {0};
	uint64_t max = PEEK_DEFAULT;

	(void)req;
	if (peek != NULL &&
	    sq_http_text_number(sq_bytes_of(peek), "peek", SQ_PEEK_MAX, &max, fault) != SQ_OK)
		return SQ_EINVAL;
	if (max == 0)
		return sq_http_fault_say(fault, SQ_HTTP_MALFORMED, "peek must be at least 1");
	if (after != NULL && after[0] != '\0' && !sq_deed_place_read(after, &at))
		return sq_http_fault_say(
		    fault, SQ_HTTP_MALFORMED, "after must be the \"next\" of an answer");
	in->op = SQ_QUEUE_LETTERS;
	in->in.letters.max = (uint32_t)max;
	in->in.letters.queue = at.queue;
	in->in.letters.from = at.from;
	a->answer = letters_answer;
	return SQ_OK;
}
