#include "broker/bridge/amqp/url.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "core/percent.h"

enum { PORT = 5672, PORT_TLS = 5671 };

static int
url_bad(struct sq_buf *err, const char *why)
{
	sq_buf_printf(err, "%s", why);
	return SQ_EINVAL;
}

/* "host", "host:port", "[v6]" or "[v6]:port"; SQ_EINVAL with the reason in 'err'. */
static int
url_host(const char *p, size_t len, struct sq_amqp_url *out, const char **port, struct sq_buf *err)
{
	bool v6 = len > 0 && p[0] == '[';
	const char *end = memchr(p, v6 ? ']' : ':', len);
	unsigned char address[16];
	size_t n;

	if (v6 && end == NULL)
		return url_bad(err, "a ']' is missing");
	p += v6;
	n = end != NULL ? (size_t)(end - p) : len;
	if (n == 0)
		return url_bad(err, "there is no host");
	if (n > SQ_AMQP_HOST_MAX)
		return url_bad(err, "the host is too long");
	for (size_t i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] >= 0x7f || strchr("/\\%<>\"'", p[i]) != NULL)
			return url_bad(err, "the host has a character that none has");
	memcpy(out->host, p, n);
	out->host[n] = '\0';
	if (v6 && inet_pton(AF_INET6, out->host, address) != 1)
		return url_bad(err, "what is in the brackets is no IPv6 address");
	*port = end != NULL ? end + v6 : p + n;
	return SQ_OK;
}

/* ":port" or nothing, up to 'end'. */
static int
url_port(const char *p, const char *end, struct sq_amqp_url *out, struct sq_buf *err)
{
	unsigned port = 0;

	if (p == end)
		return SQ_OK;
	if (*p++ != ':' || p == end)
		return url_bad(err, "what follows the host is no port");
	for (; p < end; p++) {
		port = port * 10 + (unsigned)(*p - '0');
		if (*p < '0' || *p > '9' || port > UINT16_MAX)
			return url_bad(err, "the port is none");
	}
	if (port == 0)
		return url_bad(err, "the port is none");
	out->port = (uint16_t)port;
	return SQ_OK;
}

/* "/vhost", "/" or nothing: the virtual host, whose own name may be "/". */
static int
url_vhost(const char *p, struct sq_amqp_url *out, struct sq_buf *err)
{
	char *name;

	strcpy(out->vhost, "/");
	if (p[0] == '\0' || p[1] == '\0')
		return SQ_OK;
	if (strchr(p + 1, '/') != NULL)
		return url_bad(err, "a virtual host with '/' is written with %2F");
	name = sq_percent_decode(p + 1, strlen(p + 1));
	if (name == NULL)
		return url_bad(err, "the virtual host has an escape that is none");
	if (strlen(name) > SQ_AMQP_VHOST_MAX) {
		free(name);
		return url_bad(err, "the virtual host is too long");
	}
	strcpy(out->vhost, name);
	free(name);
	return SQ_OK;
}

int
sq_amqp_url_read(const char *text, struct sq_amqp_url *out, struct sq_buf *err)
{
	const char *p = text, *end, *port;
	int rc;

	*out = (struct sq_amqp_url){0};
	if (strncmp(p, "amqps://", 8) == 0)
		out->tls = true;
	else if (strncmp(p, "amqp://", 7) != 0)
		return url_bad(err, "it begins with neither amqp:// nor amqps://");
	out->port = out->tls ? PORT_TLS : PORT;
	p += out->tls ? 8 : 7;
	if (strchr(p, '@') != NULL)
		return url_bad(err, "user and password belong into credentials.*-file");
	if (strpbrk(p, "?#") != NULL)
		return url_bad(err, "it has a query or a fragment");
	end = p + strcspn(p, "/");
	rc = url_host(p, (size_t)(end - p), out, &port, err);
	if (rc == SQ_OK)
		rc = url_port(port, end, out, err);
	return rc == SQ_OK ? url_vhost(end, out, err) : rc;
}

void
sq_amqp_url_name(const struct sq_amqp_url *u, struct sq_buf *out)
{
	bool v6 = strchr(u->host, ':') != NULL;

	sq_buf_printf(out, "%s://%s%s%s:%u", u->tls ? "amqps" : "amqp", v6 ? "[" : "", u->host,
	    v6 ? "]" : "", u->port);
}
