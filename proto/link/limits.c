#include "proto/link/limits.h"

const struct sq_limits sq_limits_unsaid = {.topic_levels = 128, .client_id = 256, .max_qos = 2};

struct sq_limits
sq_limits_stricter(const struct sq_limits *a, const struct sq_limits *b)
{
	return (struct sq_limits){
	    .topic_levels = a->topic_levels < b->topic_levels ? a->topic_levels : b->topic_levels,
	    .client_id = a->client_id < b->client_id ? a->client_id : b->client_id,
	    .max_qos = a->max_qos < b->max_qos ? a->max_qos : b->max_qos,
	    .off = a->off | b->off,
	};
}

void
sq_limits_encode(struct sq_buf *b, const struct sq_limits *l)
{
	sq_buf_u16(b, l->topic_levels);
	sq_buf_u16(b, l->client_id);
	sq_buf_u8(b, l->max_qos);
	sq_buf_u8(b, l->off);
}

int
sq_limits_decode(struct sq_reader *r, struct sq_limits *out)
{
	out->topic_levels = sq_read16(r);
	out->client_id = sq_read16(r);
	out->max_qos = sq_read8(r);
	out->off = sq_read8(r);
	return r->bad || out->topic_levels == 0 || out->client_id == 0 || out->max_qos > 2 ||
		(out->off & ~SQ_OFF_ALL) != 0
	    ? SQ_EINVAL
	    : SQ_OK;
}
