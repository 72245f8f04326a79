#include "proto/link/limits.h"

const struct sq_limits sq_limits_unsaid = {.topic_levels = 128, .client_id = 256, .max_qos = 2};

struct sq_limits
sq_limits_own(const struct sq_limits_cfg *cfg)
{
	return (struct sq_limits){
	    .topic_levels = (uint16_t)cfg->topic_levels,
	    .client_id = (uint16_t)cfg->client_id,
	    .max_qos = (uint8_t)cfg->max_qos,
	    .off = (uint8_t)((cfg->retain ? 0 : SQ_OFF_RETAIN) |
		(cfg->wildcard ? 0 : SQ_OFF_WILDCARD) | (cfg->shared ? 0 : SQ_OFF_SHARED) |
		(cfg->sub_ids ? 0 : SQ_OFF_SUB_IDS) | (cfg->control_refused ? SQ_OFF_CONTROL : 0)),
	};
}

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
