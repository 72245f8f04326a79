#include "broker/bridge/sqs/check.h"

#include <string.h>

#include "broker/bridge/sqs/place.h"
#include "net/curl/out.h"

/* A region that stands for that of the environment, which a check does not look at. */
#define ANY_REGION "us-east-1"

/* Checks one rule's queue; its error begins with the rule's place. */
static int
check_queue(const struct sq_bridge_cfg *cfg, bool out, size_t i, const char *queue,
    const char *account, bool *fifo, struct sq_buf *err)
{
	struct sq_sqs_place place = {0};
	struct sq_buf why = {0};
	int rc = sq_sqs_place_find(cfg, queue, account, ANY_REGION, &place, &why);
	const char *text;

	*fifo = place.fifo;
	sq_sqs_place_fini(&place);
	if (rc != SQ_OK) {
		sq_buf_u8(&why, '\0');
		text = (const char *)sq_buf_data(&why);
		if (strncmp(text, "endpoint", 8) == 0 || strncmp(text, "region", 6) == 0)
			sq_buf_printf(err, "%s", text);
		else
			sq_buf_printf(
			    err, "%s[%zu].%s%s", out ? "out" : "in", i, out ? "to." : "", text);
	}
	sq_buf_fini(&why);
	return rc;
}

static int
check_sts(const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	struct sq_buf why = {0};
	int rc = SQ_OK;

	if (cfg->sts_endpoint != NULL)
		rc = sq_out_url_check(cfg->sts_endpoint, NULL, NULL, 0, NULL, &why);
	if (rc != SQ_OK)
		sq_buf_printf(err, "credentials.sts-endpoint: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc;
}

int
sq_bridge_sqs_check(const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	bool fifo;

	if (check_sts(cfg, err) != SQ_OK)
		return SQ_EINVAL;
	for (size_t i = 0; i < cfg->out.n; i++) {
		const struct sq_bridge_out *o = sq_bridge_cfg_out(cfg, i);

		if (check_queue(cfg, true, i, o->queue, o->account, &fifo, err) != SQ_OK)
			return SQ_EINVAL;
		if (o->group != NULL && !fifo) {
			sq_buf_printf(err, "out[%zu].to.group: is of FIFO queues alone", i);
			return SQ_EINVAL;
		}
	}
	for (size_t i = 0; i < cfg->in.n; i++) {
		const struct sq_bridge_in *o = sq_bridge_cfg_in(cfg, i);

		if (check_queue(cfg, false, i, o->queue, o->account, &fifo, err) != SQ_OK)
			return SQ_EINVAL;
		if (o->unwrap != SQ_BRIDGE_UNWRAP_NONE && cfg->format != SQ_BRIDGE_FORMAT_RAW) {
			sq_buf_printf(err, "in[%zu].unwrap: not with format: cloudevents", i);
			return SQ_EINVAL;
		}
	}
	if (cfg->dedup_for_ms > 0 && cfg->dedup_for_ms < cfg->visibility_ms) {
		sq_buf_printf(
		    err, "dedup.for: shorter than 'visibility': copies would be taken twice");
		return SQ_EINVAL;
	}
	return SQ_OK;
}
