/* A client of MQTT 5; see cli/mqtt/client.h. */
#include "cli/mqtt/client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/term/interrupt.h"
#include "cli/view/safe.h"
#include "core/clock.h"
#include "core/mem.h"
#include "net/curl/url.h"

enum {
	CLIENT_CONNECT_MS = 5000, /* of each address */
	CLIENT_CONNACK_MS = 10000,
	CLIENT_WRITE_MS = 30000,
	CLIENT_KEEP_ALIVE_S = 30,
	CLIENT_PING_MS = 20000, /* of nothing sent */
	CLIENT_PONG_MS = 10000,
	CLIENT_READ = 65536,
	CLIENT_REASON_MAX = 1024, /* bytes of a reason string that are said */
};

struct sq_mqtt_client {
	char *name; /* "mqtt://HOST:PORT", as people see it */
	int fd;     /* -1: lost */
	struct sq_mqtt_decoder decoder;
	struct sq_mqtt_client_limits limits;
	struct sq_buf in;
	size_t used;               /* bytes of 'in' that the last packet took */
	uint64_t sent_ms, ping_ms; /* of the last packet; of a PINGREQ without answer, 0: none */
};

/* ---- addresses ---- */

/* The URL that was given, of the environment, or of a sidecar. */
static const char *
client_url(const char *given)
{
	const char *env = getenv("SQMQOS_URL");

	if (given != NULL)
		return given;
	return env != NULL && *env != '\0' ? env : SQ_MQTT_CLIENT_URL;
}

/* Takes the URL apart.  Returns what is wrong, without a word of it that could be a password; or
 * NULL. */
static const char *
client_place(const char *url, struct sq_url *p)
{
	struct sq_buf whole = {0}, why = {0};
	bool good, tls;
	int rc;

	(void)sq_buf_reserve(&whole, strlen(url) + 16);
	sq_buf_printf(&whole, "%s%s%c", strstr(url, "://") == NULL ? "mqtt://" : "", url, 0);
	rc = sq_url_parse(p, (char *)sq_buf_data(&whole), &why);
	sq_buf_wipe(&whole);
	sq_buf_fini(&why);
	if (rc == SQ_EIO)
		return "libcurl, which reads addresses, can't be loaded";
	tls = rc == SQ_OK && strcmp(p->scheme, "mqtts") == 0;
	good = rc == SQ_OK && strcmp(p->scheme, "mqtt") == 0 &&
	    (p->path == NULL || p->path[0] == '\0' || strcmp(p->path, "/") == 0);
	if (good && p->port == NULL)
		p->port = sq_xstrdup("1883");
	if (tls)
		return "--url: mqtts:// is not spoken here: a sidecar is at mqtt://";
	return good ? NULL : "--url, or SQMQOS_URL: not an address as " SQ_MQTT_CLIENT_URL;
}

const char *
sq_mqtt_client_url_wrong(const char *url)
{
	struct sq_url place = {0};
	const char *why = client_place(client_url(url), &place);

	sq_url_fini(&place);
	return why;
}

/* Connects to one address; -1 with errno. */
static int
client_connect_one(const struct addrinfo *a)
{
	int fd = socket(
	    a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
	struct pollfd p = {fd, POLLOUT, 0};
	socklen_t len = sizeof(int);
	int one = 1, why = 0, rc;

	if (fd < 0)
		return -1;
	if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS)
		why = errno;
	if (why == 0 && (rc = sq_interrupt_poll(&p, 1, CLIENT_CONNECT_MS)) <= 0)
		why = rc == 0 ? ETIMEDOUT : errno;
	if (why == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0)
		why = errno;
	if (why == 0) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		return fd;
	}
	close(fd);
	errno = why;
	return -1;
}

static int
client_connect(struct sq_mqtt_client *c, const struct sq_url *p, struct sq_buf *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
	struct sq_buf host = {0};
	size_t len = strlen(p->host);
	int rc, why = 0;

	/* IPv6 addresses come in brackets. */
	sq_buf_append(&host, p->host, len);
	if (p->host[0] == '[' && len > 2) {
		sq_buf_drain(&host, 1);
		host.end--;
	}
	sq_buf_u8(&host, 0);
	rc = getaddrinfo((char *)sq_buf_data(&host), p->port, &hints, &all);
	sq_buf_fini(&host);
	if (rc != 0) {
		sq_buf_printf(err, "%s: %s", c->name, gai_strerror(rc));
		return SQ_EIO;
	}
	for (const struct addrinfo *a = all; a != NULL && c->fd < 0; a = a->ai_next)
		if ((c->fd = client_connect_one(a)) < 0)
			why = errno;
	freeaddrinfo(all);
	if (c->fd >= 0)
		return 0;
	sq_buf_printf(err,
	    "%s: %s; the sidecar beside the app is named by --url or SQMQOS_URL, on Kubernetes "
	    "after: kubectl port-forward POD 1883",
	    c->name, strerror(why));
	return SQ_EIO;
}

/* ---- packets ---- */

void
sq_mqtt_client_reason(struct sq_buf *out, uint8_t reason, const struct sq_mqtt_props *props)
{
	size_t len = props->reason_string.len;

	sq_buf_printf(out, "0x%02x %s", reason, sq_mqtt_reason_name(reason));
	if (len == 0)
		return;
	sq_buf_printf(out, ": ");
	sq_safe(out, (const char *)props->reason_string.p,
	    len < CLIENT_REASON_MAX ? len : CLIENT_REASON_MAX);
}

static void
client_drop(struct sq_mqtt_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static int
client_lost(struct sq_mqtt_client *c, const char *why, struct sq_buf *err)
{
	sq_buf_printf(err, "%s: the connection is lost: %s", c->name, why);
	client_drop(c);
	return SQ_ECLOSED;
}

int
sq_mqtt_client_send(struct sq_mqtt_client *c, struct sq_buf *b, struct sq_buf *err)
{
	uint64_t until = sq_clock_ms() + CLIENT_WRITE_MS;

	while (sq_buf_len(b) > 0) {
		struct pollfd p = {c->fd, POLLOUT, 0};
		ssize_t n;

		if (c->fd < 0)
			return client_lost(c, "it was ended before", err);
		n = send(c->fd, sq_buf_data(b), sq_buf_len(b), MSG_NOSIGNAL);
		if (n > 0) {
			sq_buf_drain(b, (size_t)n);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return client_lost(c, strerror(errno), err);
		if (sq_clock_ms() >= until || sq_interrupted())
			return client_lost(c, "the other side does not read", err);
		(void)sq_interrupt_poll(&p, 1, until - sq_clock_ms());
	}
	c->sent_ms = sq_clock_ms();
	return 0;
}

/* Sends a PINGREQ when it is due.  '*until_ms' comes down to when there is to look again. */
static int
client_keep_alive(struct sq_mqtt_client *c, uint64_t *until_ms, struct sq_buf *err)
{
	uint64_t now = sq_clock_ms(), due = c->sent_ms + CLIENT_PING_MS;
	struct sq_buf ping = {0};
	int rc = 0;

	if (c->ping_ms != 0 && now >= c->ping_ms + CLIENT_PONG_MS)
		return client_lost(c, "the other side does not answer", err);
	if (c->ping_ms == 0 && now >= due) {
		sq_mqtt_put_pingreq(&ping);
		rc = sq_mqtt_client_send(c, &ping, err);
		sq_buf_fini(&ping);
		c->ping_ms = now;
	}
	due = c->ping_ms != 0 ? c->ping_ms + CLIENT_PONG_MS : due;
	*until_ms = due < *until_ms ? due : *until_ms;
	return rc;
}

/* Decodes a packet out of what was read. */
static int
client_take(struct sq_mqtt_client *c, struct sq_mqtt_packet *out, struct sq_buf *err)
{
	int rc;

	sq_buf_drain(&c->in, c->used);
	c->used = 0;
	if (sq_buf_len(&c->in) == 0)
		return SQ_EAGAIN;
	rc = sq_mqtt_decode(&c->decoder, sq_buf_data(&c->in), sq_buf_len(&c->in), out, &c->used);
	if (rc == 0 || rc == SQ_EAGAIN)
		return rc;
	sq_buf_printf(err, "%s: what it answers is not MQTT 5: %s", c->name, c->decoder.error);
	client_drop(c);
	return SQ_EINVAL;
}

/* Reads what is there, waiting until then at most; SQ_EAGAIN: nothing came. */
static int
client_read(struct sq_mqtt_client *c, uint64_t until_ms, struct sq_buf *err)
{
	uint64_t now = sq_clock_ms();
	struct pollfd p = {c->fd, POLLIN, 0};
	ssize_t n;

	if (c->fd < 0)
		return client_lost(c, "it was ended before", err);
	if (sq_interrupt_poll(&p, 1, until_ms > now ? until_ms - now : 0) <= 0)
		return SQ_EAGAIN;
	n = recv(c->fd, sq_buf_reserve(&c->in, CLIENT_READ), CLIENT_READ, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return client_lost(c, strerror(errno), err);
	if (n == 0)
		return client_lost(c, "the other side has closed it", err);
	sq_buf_commit(&c->in, (size_t)n);
	return 0;
}

int
sq_mqtt_client_next(
    struct sq_mqtt_client *c, uint64_t until_ms, struct sq_mqtt_packet *out, struct sq_buf *err)
{
	for (;;) {
		uint64_t until = until_ms;
		int rc = client_take(c, out, err);

		if (rc == 0 && out->type == SQ_MQTT_PINGRESP && c->ping_ms != 0) {
			c->ping_ms = 0;
			continue;
		}
		if (rc == 0 && out->type == SQ_MQTT_DISCONNECT) {
			sq_buf_printf(err, "%s: it has ended the connection: ", c->name);
			sq_mqtt_client_reason(err, out->disconnect.reason, &out->props);
			client_drop(c);
			return SQ_ECLOSED;
		}
		if (rc != SQ_EAGAIN)
			return rc;
		if (sq_interrupted() || sq_clock_ms() >= until_ms)
			return SQ_EAGAIN;
		if ((rc = client_keep_alive(c, &until, err)) == 0)
			rc = client_read(c, until, err);
		if (rc != 0 && rc != SQ_EAGAIN)
			return rc;
	}
}

/* ---- life ---- */

/* Sends CONNECT and takes CONNACK. */
static int
client_hello(
    struct sq_mqtt_client *c, const struct sq_url *place, const char *client_id, struct sq_buf *err)
{
	struct sq_mqtt_connect hello = {
	    .version = SQ_MQTT_V5,
	    .clean_start = true,
	    .keep_alive_s = CLIENT_KEEP_ALIVE_S,
	    .has_username = place->user != NULL,
	    .has_password = place->password != NULL,
	    .client_id = sq_bytes_of(client_id),
	    .username = sq_bytes_of(place->user),
	    .password = sq_bytes_of(place->password),
	};
	struct sq_mqtt_props props = sq_mqtt_props_none;
	struct sq_mqtt_packet answer;
	struct sq_buf out = {0};
	int rc;

	props.has = SQ_MQTT_HAS(SQ_MQTT_PROP_MAXIMUM_PACKET_SIZE);
	props.maximum_packet_size = SQ_MQTT_CLIENT_PACKET_MAX;
	rc = sq_mqtt_put_connect(&out, &hello, &props);
	if (rc != 0)
		sq_buf_printf(err, "the client id, user or password is longer than 65535 bytes");
	else
		rc = sq_mqtt_client_send(c, &out, err);
	sq_buf_wipe(&out);
	if (rc == 0)
		rc = sq_mqtt_client_next(c, sq_clock_ms() + CLIENT_CONNACK_MS, &answer, err);
	if (rc == SQ_EAGAIN)
		return client_lost(c, "no answer to CONNECT", err);
	if (rc != 0)
		return rc;
	if (answer.type != SQ_MQTT_CONNACK)
		return client_lost(c, "its first answer is no CONNACK", err);
	if (answer.connack.reason != SQ_MQTT_RC_SUCCESS) {
		sq_buf_printf(err, "%s: it refuses the connection: ", c->name);
		sq_mqtt_client_reason(err, answer.connack.reason, &answer.props);
		client_drop(c);
		return SQ_EDENIED;
	}
	c->limits = (struct sq_mqtt_client_limits){
	    .max_packet = answer.props.maximum_packet_size,
	    .max_qos = sq_mqtt_has(&answer.props, SQ_MQTT_PROP_MAXIMUM_QOS)
		? answer.props.maximum_qos
		: 2,
	    .retain = answer.props.retain_available != 0,
	};
	return 0;
}

struct sq_mqtt_client *
sq_mqtt_client_open(const char *url, const char *client_id, struct sq_buf *err)
{
	struct sq_mqtt_client *c = sq_xcalloc(1, sizeof *c);
	struct sq_url place = {0};
	struct sq_buf name = {0};
	const char *why = client_place(client_url(url), &place);
	bool good = why == NULL;

	c->fd = -1;
	c->decoder = (struct sq_mqtt_decoder){
	    SQ_MQTT_CLIENT, SQ_MQTT_V5, SQ_MQTT_CLIENT_PACKET_MAX, .plain = false};
	if (!good) {
		sq_buf_printf(err, "%s", why);
	} else {
		sq_buf_printf(&name, "mqtt://");
		sq_safe(&name, place.host, strlen(place.host));
		sq_buf_printf(&name, ":%s%c", place.port, 0);
		c->name = sq_xstrdup((char *)sq_buf_data(&name));
		good = client_connect(c, &place, err) == 0 &&
		    client_hello(c, &place, client_id, err) == 0;
	}
	sq_buf_fini(&name);
	sq_url_fini(&place);
	if (!good)
		sq_mqtt_client_close(&c);
	return c;
}

void
sq_mqtt_client_close(struct sq_mqtt_client **cp)
{
	struct sq_mqtt_client *c = *cp;
	struct sq_buf bye = {0};

	*cp = NULL;
	if (c == NULL)
		return;
	if (c->fd >= 0 && sq_mqtt_put_disconnect(&bye, SQ_MQTT_V5, SQ_MQTT_RC_SUCCESS, NULL) == 0) {
		ssize_t n = send(c->fd, sq_buf_data(&bye), sq_buf_len(&bye), MSG_NOSIGNAL);

		(void)n; /* who does not read it sees the connection's end */
	}
	sq_buf_fini(&bye);
	sq_buf_fini(&c->in);
	client_drop(c);
	free(c->name);
	free(c);
}

const struct sq_mqtt_client_limits *
sq_mqtt_client_limits(const struct sq_mqtt_client *c)
{
	return &c->limits;
}
