#include "broker/bridge/amqp/check.h"

#include <string.h>

#include "broker/bridge/amqp/url.h"
#include "proto/mapping/mapping.h"

enum { NAME_MAX_BYTES = 255 };

/* A line for a row of a record. */
static int
check_bad(struct sq_buf *err, const char *row, size_t i, const char *key, const char *why)
{
	sq_buf_printf(err, "%s[%zu].%s: %s", row, i, key, why);
	return SQ_EINVAL;
}

static int
check_name(const char *name, const char *row, size_t i, const char *key, struct sq_buf *err)
{
	return name != NULL && strlen(name) > NAME_MAX_BYTES
	    ? check_bad(err, row, i, key, "is longer than 255 bytes, AMQP's bound")
	    : SQ_OK;
}

static int
check_urls(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	struct sq_amqp_url url;
	bool tls = false;

	if (c->urls.n == 0) {
		sq_buf_printf(err, "url: needs one of amqp:// or amqps://, or several");
		return SQ_EINVAL;
	}
	for (size_t i = 0; i < c->urls.n; i++) {
		sq_buf_printf(err, "url: ");
		if (sq_amqp_url_read(c->urls.v[i], &url, err) != SQ_OK)
			return SQ_EINVAL;
		sq_buf_drain(err, strlen("url: "));
		tls |= url.tls;
	}
	if (!tls && (sq_config_is_set(c->ca_file) || sq_config_is_set(c->cert_file))) {
		sq_buf_printf(err, "tls: no url is of amqps://");
		return SQ_EINVAL;
	}
	return SQ_OK;
}

/* Who we are: a user, or a certificate. */
static int
check_credentials(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	bool user = sq_config_is_set(c->user_file), cert = sq_config_is_set(c->cert_file);

	if (!user && !cert) {
		sq_buf_printf(err,
		    "credentials: needs user-file and password-file, or a "
		    "certificate by which RabbitMQ knows us (EXTERNAL)");
		return SQ_EINVAL;
	}
	return SQ_OK;
}

static int
check_out(const struct sq_bridge_cfg *c, size_t i, struct sq_buf *err)
{
	const struct sq_bridge_out *out = sq_bridge_cfg_out(c, i);

	if (!sq_config_is_set(out->exchange) && !sq_config_is_set(out->key))
		return check_bad(err, "out", i, "to",
		    "needs an exchange, or a key, which is a queue's name then");
	/* One that is not there has the peer close the channel, whose other messages go again. */
	if (sq_config_is_set(out->exchange) && sq_mapping_is_of_message(out->exchange))
		return check_bad(err, "out", i, "to.exchange",
		    "is no message's to say: of names only {space} and {queue} are good here");
	return check_name(out->type, "out", i, "to.type", err);
}

static int
check_in(const struct sq_bridge_cfg *c, size_t i, struct sq_buf *err)
{
	const struct sq_bridge_in *in = sq_bridge_cfg_in(c, i);

	if (sq_config_is_set(in->type) && strcmp(in->type, "quorum") != 0 &&
	    strcmp(in->type, "classic") != 0)
		return check_bad(err, "in", i, "type", "is neither quorum nor classic");
	if (!c->declare && (sq_config_is_set(in->exchange) || sq_config_is_set(in->bind)))
		return check_bad(err, "in", i, "exchange", "is bound only with declare: true");
	if (sq_config_is_set(in->bind) && !sq_config_is_set(in->exchange))
		return check_bad(err, "in", i, "bind", "needs an exchange");
	if (check_name(in->queue, "in", i, "queue", err) != SQ_OK ||
	    check_name(in->exchange, "in", i, "exchange", err) != SQ_OK)
		return SQ_EINVAL;
	return check_name(in->bind, "in", i, "bind", err);
}

int
sq_bridge_amqp_check(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	int rc = check_urls(c, err);

	if (rc == SQ_OK)
		rc = check_credentials(c, err);
	for (size_t i = 0; i < c->out.n && rc == SQ_OK; i++)
		rc = check_out(c, i, err);
	for (size_t i = 0; i < c->in.n && rc == SQ_OK; i++)
		rc = check_in(c, i, err);
	return rc;
}
