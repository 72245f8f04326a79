#include "broker/deed/answer.h"

#include <inttypes.h>
#include <stdio.h>

unsigned
sq_deed_answer_status(const struct sq_deed *d, const char **why)
{
	static const unsigned statuses[] = {
	    [SQ_DEED_DONE] = 200,
	    [SQ_DEED_MISSING] = 404,
	    [SQ_DEED_DENIED] = 403,
	    [SQ_DEED_REFUSED] = 409,
	    [SQ_DEED_FAILED] = 503,
	};

	*why = d->why != NULL ? d->why : "no rule of acl lets this identity do that there";
	return statuses[d->end];
}

void
sq_deed_answer(const struct sq_deed *d, struct sq_buf *out)
{
	sq_buf_printf(out, "{\"done\":%llu", (unsigned long long)d->n);
	if (d->kind == SQ_DEED_REDRIVE)
		sq_buf_printf(out, ",\"stayed\":%llu", (unsigned long long)d->stayed);
	if (d->more)
		sq_buf_printf(out, ",\"more\":true,\"next\":\"%u.%llu.%llu\"}\n", d->at.queue,
		    (unsigned long long)d->at.from, (unsigned long long)d->at.upto);
	else
		sq_buf_printf(out, ",\"more\":false,\"next\":null}\n");
}

bool
sq_deed_place_read(const char *text, struct sq_deed_place *at)
{
	int end = 0;

	return sscanf(text, "%1u.%20" SCNu64 ".%20" SCNu64 "%n", &at->queue, &at->from, &at->upto,
		   &end) == 3 &&
	    text[end] == '\0' && text[0] != '-' && text[0] != '+';
}
