#include "broker/front/http/part.h"

#include "broker/auth/identity/identity.h"
#include "core/clock.h"

const struct sq_http_header *
sq_http_headers(h2o_req_t *req)
{
	struct sq_http_header *out = h2o_mem_alloc_pool(
	    &req->pool, (req->headers.size + 1) * sizeof *out);

	for (size_t i = 0; i < req->headers.size; i++) {
		const h2o_header_t *h = &req->headers.entries[i];

		out[i].name = (struct sq_bytes){(const unsigned char *)h->name->base, h->name->len};
		out[i].value = (struct sq_bytes){
		    (const unsigned char *)h->value.base, h->value.len};
	}
	return out;
}

int
sq_http_take_rate(struct sq_http_front *front, const struct sq_identity *who, size_t n,
    struct sq_http_fault *fault)
{
	if (front->rate == NULL)
		return SQ_OK;
	if (n > front->cfg.rate)
		return sq_http_fault_say(fault, SQ_HTTP_TOO_LARGE,
		    "it has %zu messages, http.rate lets %llu of an identity through in a second",
		    n, (unsigned long long)front->cfg.rate);
	if (sq_http_rate_take(front->rate, who->id, n, sq_clock_ms()))
		return SQ_OK;
	return sq_http_fault_say(fault, SQ_HTTP_RATE,
	    "above http.rate, %llu publishes of an identity in a second",
	    (unsigned long long)front->cfg.rate);
}
