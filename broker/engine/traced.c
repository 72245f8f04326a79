#include "broker/engine/traced.h"

bool
sq_traced(const unsigned char *image, struct sq_trace *out)
{
	return sq_trace_sampled(sq_image_props(image), out);
}

struct sq_span *
sq_traced_span(enum sq_span_what what, const struct sq_trace *t, const unsigned char *image,
    const struct sq_origin *origin, uint64_t began_us)
{
	struct sq_span *s = sq_span_new(what, t, began_us);

	if (s == NULL)
		return NULL;
	sq_span_message(s, sq_image_topic(image), sq_image_payload(image).len, sq_image_qos(image));
	if (origin != NULL) {
		s->origin[0] = origin->incarnation;
		s->origin[1] = origin->run;
		s->origin[2] = origin->number;
	}
	return s;
}

void
sq_traced_fail(struct sq_span *s, const char *why)
{
	s->failed = true;
	sq_span_text(s->note, sizeof s->note, sq_bytes_of(why));
}
