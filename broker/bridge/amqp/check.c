#include "broker/bridge/amqp/check.h"

#include <string.h>

#include "broker/bridge/amqp/url.h"
#include "proto/mapping/mapping.h"

enum { NAME_MAX_BYTES = 255, PREFETCH_MAX = 65535, HEARTBEAT_MAX_MS = 60000 };

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

	if (c->urls.n == 0 || c->urls.n > SQ_AMQP_URLS_MAX) {
		sq_buf_printf(err, "url: needs 1 to %d of amqp:// or amqps://", SQ_AMQP_URLS_MAX);
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

	if (user != sq_config_is_set(c->password_file)) {
		sq_buf_printf(err, "credentials: user-file and password-file belong together");
		return SQ_EINVAL;
	}
	if (cert != sq_config_is_set(c->key_file)) {
		sq_buf_printf(err, "tls: cert-file and key-file belong together");
		return SQ_EINVAL;
	}
	if (!user && !cert) {
		sq_buf_printf(err,
		    "credentials: needs user-file and password-file, or a "
		    "certificate by which RabbitMQ knows us (EXTERNAL)");
		return SQ_EINVAL;
	}
	return SQ_OK;
}

static int
check_template(const char *tmpl, size_t i, const char *key, struct sq_buf *err)
{
	struct sq_buf why = {0};
	int rc = SQ_OK;

	if (sq_config_is_set(tmpl) &&
	    sq_mapping_check(tmpl, SQ_MAPPING_TEXT, SQ_MAPPING_OF_QUEUE, &why) != SQ_OK) {
		sq_buf_printf(err, "out[%zu].%s: %.*s", i, key, (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
		rc = SQ_EINVAL;
	}
	sq_buf_fini(&why);
	return rc;
}

static int
check_out(const struct sq_bridge_cfg *c, size_t i, struct sq_buf *err)
{
	const struct sq_bridge_out *o = sq_bridge_cfg_out(c, i);
	int rc = check_template(o->exchange, i, "to.exchange", err);

	if (rc == SQ_OK)
		rc = check_template(o->key, i, "to.key", err);
	if (rc == SQ_OK)
		rc = check_name(o->type, "out", i, "to.type", err);
	return rc;
}

static int
check_in(const struct sq_bridge_cfg *c, size_t i, struct sq_buf *err)
{
	const struct sq_bridge_in *in = sq_bridge_cfg_in(c, i);

	if (!sq_config_is_set(in->queue))
		return check_bad(err, "in", i, "queue", "is required");
	if (sq_config_is_set(in->type) && strcmp(in->type, "quorum") != 0 &&
	    strcmp(in->type, "classic") != 0)
		return check_bad(err, "in", i, "type", "is neither quorum nor classic");
	if (!c->declare && (sq_config_is_set(in->exchange) || sq_config_is_set(in->bind)))
		return check_bad(err, "in", i, "exchange", "is bound only with declare: true");
	if (sq_config_is_set(in->bind) && !sq_config_is_set(in->exchange))
		return check_bad(err, "in", i, "bind", "needs an exchange");
	if (in->prefetch == 0 || in->prefetch > PREFETCH_MAX)
		return check_bad(err, "in", i, "prefetch", "is not within 1 and 65535");
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
	if (rc == SQ_OK && (c->connections == 0 || c->connections > SQ_AMQP_LINES_MAX)) {
		sq_buf_printf(err, "connections: is not within 1 and %d", SQ_AMQP_LINES_MAX);
		rc = SQ_EINVAL;
	}
	if (rc == SQ_OK && c->heartbeat_ms > HEARTBEAT_MAX_MS) {
		sq_buf_printf(err, "heartbeat: is above %d s", HEARTBEAT_MAX_MS / 1000);
		rc = SQ_EINVAL;
	}
	for (size_t i = 0; i < c->out.n && rc == SQ_OK; i++)
		rc = check_out(c, i, err);
	for (size_t i = 0; i < c->in.n && rc == SQ_OK; i++)
		rc = check_in(c, i, err);
	return rc;
}
