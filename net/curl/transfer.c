/* One request in libcurl's hands: an easy handle, which is used again and again. */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "net/curl/easy.h"
#include "net/curl/out_priv.h"
#include "net/curl/san.h"

enum {
	CALLS_IDLE = 128,
	CALL_SOCKETS = 16,        /* of one request, which are looked at as it ends */
	CALL_CA_CACHE_S = 300,    /* the system's authorities are read so often at most */
	CALL_NAMES_KEPT_S = 3600, /* of addresses that we have told */
	CALL_LIFETIME_S = 600,    /* of a connection: then where a name leads is looked up again */
};

struct sq_out_call {
	struct sq_list idle;
	CURL *easy;
	struct sq_out_transfer *t; /* while it runs */
	struct curl_slist *lines;  /* an array over the request's headers */
	size_t lines_cap;
	struct curl_slist resolve[2];
	struct sq_buf resolve_text;
	size_t head; /* bytes of it that have come */
	int opened[CALL_SOCKETS];
	unsigned n_opened;
	unsigned tries; /* connections on which it has been tried, each having died */
	bool head_done, forbidden, too_large;
	bool fresh; /* on a new connection: see call_again() */
	char error[CURL_ERROR_SIZE];
};

/* Callbacks. */

static bool
call_allows(struct sq_out_call *c, const struct sockaddr *a)
{
	const struct sq_out_way *way = c->t->req->way;

	if (way->allows == NULL || c->t->proxied || way->allows(way, a))
		return true;
	c->forbidden = true;
	return false;
}

static curl_socket_t
call_on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct sq_out_call *c = arg;
	int fd = -1;

	(void)purpose;
	if (sq_buf_len(&c->resolve_text) > 0)
		sq_out_name_resolved(c->t);
	if (!call_allows(c, &a->addr))
		return CURL_SOCKET_BAD;
	fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	sq_out_socket_opened(
	    c->t->out, fd, c->t->name != NULL ? c->t->name : c->t->out->names.none);
	if (c->n_opened < CALL_SOCKETS)
		c->opened[c->n_opened++] = fd;
	return fd;
}

static int
call_on_close(void *arg, curl_socket_t fd)
{
	sq_out_socket_closed(arg, fd);
	return close(fd);
}

/* Whether the connection speaks HTTP/2. */
static bool
call_is_h2(struct sq_out_call *c)
{
	struct curl_tlssessioninfo *tls = NULL;
	const unsigned char *protocol = NULL;
	unsigned len = 0;

	if (c->t->out->curl->easy_getinfo(c->easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK ||
	    tls == NULL || tls->internals == NULL || tls->backend != CURLSSLBACKEND_OPENSSL)
		return false;
	SSL_get0_alpn_selected(tls->internals, &protocol, &len);
	return len == 2 && memcmp(protocol, "h2", 2) == 0;
}

/* Before a request is written, on a new connection or another. */
static int
call_on_request(void *arg, char *ip, char *own_ip, int port, int own_port)
{
	struct sq_out_call *c = arg;
	struct sq_out_transfer *t = c->t;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = {.any.sa_family = AF_UNSPEC};

	(void)own_ip, (void)own_port;
	c->tries++;
	if (sq_buf_len(&c->resolve_text) > 0)
		sq_out_name_resolved(t);
	if (inet_pton(AF_INET, ip, &a.v4.sin_addr) == 1) {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons((uint16_t)port);
	} else if (inet_pton(AF_INET6, ip, &a.v6.sin6_addr) == 1) {
		a.v6.sin6_family = AF_INET6;
		a.v6.sin6_port = htons((uint16_t)port);
	}
	if (!call_allows(c, &a.any))
		return CURL_PREREQFUNC_ABORT;
	if (t->https && t->req->way->http2)
		sq_out_origin_shares(t->origin, call_is_h2(c));
	return CURL_PREREQFUNC_OK;
}

static size_t
call_on_body(char *p, size_t size, size_t n, void *arg)
{
	struct sq_out_call *c = arg;
	struct sq_out_request *req = c->t->req;

	if (size * n > req->max_answer - sq_buf_len(&req->answer)) {
		c->too_large = true;
		return 0; /* not what was passed: the transfer ends */
	}
	sq_buf_append(&req->answer, p, size * n);
	return size * n;
}

/* Keeps "name: value" as "name\0value\0". */
static void
call_keep(struct sq_buf *out, const char *p, size_t n)
{
	const char *colon = memchr(p, ':', n), *value;
	size_t len;

	if (colon == NULL || colon == p || memchr(p, '\0', (size_t)(colon - p)) != NULL)
		return;
	for (const char *at = p; at < colon; at++)
		sq_buf_u8(out, (uint8_t)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at));
	sq_buf_u8(out, 0);
	value = colon + 1;
	len = n - (size_t)(value - p);
	while (len > 0 && memchr(" \t\r\n", value[len - 1], 4) != NULL)
		len--;
	while (len > 0 && memchr(" \t", *value, 2) != NULL)
		value++, len--;
	/* One with a NUL would be two. */
	sq_buf_append(out, value, strnlen(value, len));
	sq_buf_u8(out, 0);
}

/* A line of the head, of that of an answer of 1xx, or of the trailer. */
static size_t
call_on_head(char *p, size_t size, size_t n, void *arg)
{
	struct sq_out_call *c = arg;
	struct sq_buf *headers = &c->t->req->answer_headers;

	n *= size;
	c->head += n;
	if (c->head > SQ_OUT_HEAD_MAX) {
		c->too_large = true;
		return 0;
	}
	if (n > 5 && memcmp(p, "HTTP/", 5) == 0) {
		sq_buf_drain(headers, sq_buf_len(headers));
		c->head_done = false;
	} else if (n <= 2 && (n == 0 || p[0] == '\r' || p[0] == '\n')) {
		c->head_done = true;
	} else if (!c->head_done) {
		call_keep(headers, p, n);
	}
	return n;
}

/* What a certificate must name. */
static CURLcode
call_on_tls(CURL *easy, void *ctx, void *arg)
{
	const struct sq_out_call *c = arg;
	char host[sizeof c->t->host];
	size_t len = strlen(c->t->host);

	(void)easy;
	memcpy(host, c->t->host, len + 1);
	if (len > 1 && host[len - 1] == '.')
		host[len - 1] = '\0';
	return sq_san_check(ctx, host) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

/* Handles. */

static CURLcode
call_set_up(struct sq_out *o, struct sq_out_call *c)
{
	CURLcode rc = sq_easy_set_up(o->curl, c->easy, o->proxy.url);

#define SET(option, value) rc = rc != CURLE_OK ? rc : o->curl->easy_setopt(c->easy, option, value)
	SET(CURLOPT_PRIVATE, (void *)c);
	SET(CURLOPT_ERRORBUFFER, c->error);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_SSL_SESSIONID_CACHE, 0L); /* who the peer is is looked at each time */
	SET(CURLOPT_DNS_CACHE_TIMEOUT, (long)CALL_NAMES_KEPT_S);
	SET(CURLOPT_MAXLIFETIME_CONN, (long)CALL_LIFETIME_S);
	SET(CURLOPT_WRITEFUNCTION, call_on_body);
	SET(CURLOPT_WRITEDATA, (void *)c);
	SET(CURLOPT_HEADERFUNCTION, call_on_head);
	SET(CURLOPT_HEADERDATA, (void *)c);
	SET(CURLOPT_OPENSOCKETFUNCTION, call_on_open);
	SET(CURLOPT_OPENSOCKETDATA, (void *)c);
	SET(CURLOPT_CLOSESOCKETFUNCTION, call_on_close);
	SET(CURLOPT_CLOSESOCKETDATA, (void *)o);
	SET(CURLOPT_PREREQFUNCTION, call_on_request);
	SET(CURLOPT_PREREQDATA, (void *)c);
	SET(CURLOPT_SSL_CTX_FUNCTION, call_on_tls);
	SET(CURLOPT_SSL_CTX_DATA, (void *)c);
	if (o->user_agent != NULL)
		SET(CURLOPT_USERAGENT, o->user_agent);
#undef SET
	return rc;
}

static void
call_free(struct sq_out *o, struct sq_out_call *c)
{
	if (c->easy != NULL)
		o->curl->easy_cleanup(c->easy);
	sq_buf_fini(&c->resolve_text);
	free(c->lines);
	free(c);
}

/* NULL: libcurl has none. */
static struct sq_out_call *
call_get(struct sq_out *o)
{
	struct sq_out_call *c = SQ_LIST_FIRST(&o->calls.idle, struct sq_out_call, idle);

	if (c != NULL) {
		sq_list_remove(&c->idle);
		o->calls.n_idle--;
		return c;
	}
	c = sq_xcalloc(1, sizeof *c);
	sq_list_init(&c->idle);
	c->easy = o->curl->easy_init();
	if (c->easy == NULL || call_set_up(o, c) != CURLE_OK)
		call_free(o, c), c = NULL;
	return c;
}

/* Whether the request is signed. */
static bool
call_signs(const struct sq_out_call *c)
{
	return sq_buf_len(&c->t->req->sign) > 0;
}

static void
call_put(struct sq_out *o, struct sq_out_call *c)
{
	bool good = o->calls.n_idle < CALLS_IDLE, signs = c->t != NULL && call_signs(c);

	c->t = NULL;
	/* libcurl counts a handle's retries over all of its requests, and gives up at the sixth
	 * (curl #19066): begin anew; also that no other request is signed. */
	if (good && (c->tries > 1 || signs)) {
		o->curl->easy_reset(c->easy);
		good = call_set_up(o, c) == CURLE_OK;
	}
	if (!good) {
		call_free(o, c);
		return;
	}
	sq_list_push_front(&o->calls.idle, &c->idle);
	o->calls.n_idle++;
}

int
sq_out_calls_init(struct sq_out *o, struct sq_buf *err)
{
	struct sq_out_call *c;
	char *ca = NULL;

	c = call_get(o);
	if (c == NULL || o->curl->easy_getinfo(c->easy, CURLINFO_CAINFO, &ca) != CURLE_OK) {
		sq_buf_printf(err, "%s is too old, or can't be used", SQ_CURL_LIBRARY);
		if (c != NULL)
			call_free(o, c);
		return SQ_EIO;
	}
	o->calls.ca_file = ca != NULL ? sq_xstrdup(ca) : NULL;
	call_put(o, c);
	return SQ_OK;
}

void
sq_out_calls_fini(struct sq_out *o)
{
	struct sq_out_call *c;

	while ((c = SQ_LIST_FIRST(&o->calls.idle, struct sq_out_call, idle)) != NULL) {
		sq_list_remove(&c->idle);
		call_free(o, c);
	}
	free(o->calls.ca_file);
}

/* Requests. */

static void
call_add_line(struct sq_out_call *c, size_t i, const char *line)
{
	if (i == c->lines_cap) {
		c->lines_cap = i == 0 ? 16 : i * 2;
		c->lines = sq_xrealloc(c->lines, c->lines_cap * sizeof *c->lines);
	}
	c->lines[i] = (struct curl_slist){.data = (char *)(uintptr_t)line};
}

/* Whether it is the line of the body's type, with or without a value. */
static bool
call_is_type(const char *line)
{
	static const char name[] = "content-type";

	return strncasecmp(line, name, sizeof name - 1) == 0 &&
	    (line[sizeof name - 1] == ':' || line[sizeof name - 1] == ';');
}

/* Makes the list of the request's headers, without copies of them.  None is switched off where they are
 * signed: libcurl 7.88.1 signs that, too. */
static struct curl_slist *
call_list(struct sq_out_call *c, bool posts)
{
	const struct sq_buf *headers = &c->t->req->headers;
	const bool off = posts && !call_signs(c);
	const char *text = (const char *)sq_buf_data(headers);
	bool typed = false;
	size_t n = 0;

	for (size_t at = 0; at < sq_buf_len(headers); at += strlen(text + at) + 1) {
		typed = typed || call_is_type(text + at);
		call_add_line(c, n++, text + at);
	}
	if (off)
		call_add_line(c, n++, "Expect:"); /* no round before the body */
	if (off && !typed)
		call_add_line(c, n++, "Content-Type:"); /* none of libcurl's own */
	for (size_t i = 0; i + 1 < n; i++)
		c->lines[i].next = &c->lines[i + 1];
	return n > 0 ? c->lines : NULL;
}

static CURLcode
call_set_request(struct sq_out_call *c)
{
	const struct sq_out_request *req = c->t->req;
	const struct sq_curl *curl = c->t->out->curl;
	const bool head = strcmp(req->method, "HEAD") == 0;
	const bool posts = req->body.p != NULL || strcmp(req->method, "POST") == 0 ||
	    strcmp(req->method, "PUT") == 0 || strcmp(req->method, "PATCH") == 0;
	CURLcode rc = CURLE_OK;

#define SET(option, value) rc = rc != CURLE_OK ? rc : curl->easy_setopt(c->easy, option, value)
	SET(CURLOPT_URL, req->url);
	SET(CURLOPT_FRESH_CONNECT, 0L);
	SET(CURLOPT_NOBODY, 0L);
	SET(CURLOPT_HTTPGET, 1L);
	if (posts) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.len);
		SET(CURLOPT_POSTFIELDS, req->body.len > 0 ? (const char *)req->body.p : "");
	} else if (head) {
		SET(CURLOPT_NOBODY, 1L);
	}
	SET(CURLOPT_CUSTOMREQUEST, head ? NULL : req->method);
	SET(CURLOPT_HTTPHEADER, call_list(c, posts));
#undef SET
	return rc;
}

static CURLcode
call_set_sign(struct sq_out_call *c)
{
	const struct sq_curl *curl = c->t->out->curl;
	const char *provider, *key_id, *secret;
	CURLcode rc = CURLE_OK;

	if (!call_signs(c))
		return CURLE_OK;
	provider = (const char *)sq_buf_data(&c->t->req->sign);
	key_id = provider + strlen(provider) + 1;
	secret = key_id + strlen(key_id) + 1;
#define SET(option, value) rc = rc != CURLE_OK ? rc : curl->easy_setopt(c->easy, option, value)
	SET(CURLOPT_AWS_SIGV4, provider);
	SET(CURLOPT_USERNAME, key_id);
	SET(CURLOPT_PASSWORD, secret);
	/* It asks for a round before a body above 1 MiB; the body follows at once. */
	SET(CURLOPT_EXPECT_100_TIMEOUT_MS, 0L);
#undef SET
	return rc;
}

static CURLcode
call_set_way(struct sq_out_call *c)
{
	const struct sq_out_transfer *t = c->t;
	const struct sq_out_way *way = t->req->way;
	const struct sq_curl *curl = t->out->curl;
	const bool own_ca = way->ca_file != NULL, http2 = t->https && way->http2;
	CURLcode rc = CURLE_OK;

#define SET(option, value) rc = rc != CURLE_OK ? rc : curl->easy_setopt(c->easy, option, value)
	SET(CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(t->connect_ms > t->named_ms ? t->connect_ms - t->named_ms : 1));
	SET(CURLOPT_HTTP_VERSION, (long)(http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	if (t->out->proxy.url != NULL) {
		SET(CURLOPT_PROXY, t->proxied ? t->out->proxy.url : "");
		SET(CURLOPT_NOPROXY, t->proxied ? "" : "*");
	}
	if (t->https) {
		SET(CURLOPT_CAINFO, own_ca ? way->ca_file : t->out->calls.ca_file);
		SET(CURLOPT_CA_CACHE_TIMEOUT, (long)(own_ca ? 0 : CALL_CA_CACHE_S));
		SET(CURLOPT_SSLCERT, way->cert_file);
		SET(CURLOPT_SSLKEY, way->key_file);
	}
#undef SET
	return rc;
}

/* Tells libcurl the addresses of the name, unless it knows them. */
static CURLcode
call_set_resolve(struct sq_out_call *c)
{
	const char *text;
	size_t first;

	sq_out_name_resolve(c->t, &c->resolve_text);
	if (sq_buf_len(&c->resolve_text) == 0)
		return CURLE_OK;
	text = (const char *)sq_buf_data(&c->resolve_text);
	first = strlen(text) + 1;
	memset(c->resolve, 0, sizeof c->resolve);
	c->resolve[0].data = (char *)(uintptr_t)text;
	if (first < sq_buf_len(&c->resolve_text)) {
		c->resolve[1].data = (char *)(uintptr_t)text + first;
		c->resolve[0].next = &c->resolve[1];
	}
	return c->t->out->curl->easy_setopt(c->easy, CURLOPT_RESOLVE, c->resolve);
}

bool
sq_out_call_start(struct sq_out_transfer *t)
{
	struct sq_out *o = t->out;
	struct sq_out_call *c = call_get(o);
	CURLcode rc = CURLE_OUT_OF_MEMORY;

	if (c != NULL) {
		c->t = t;
		c->head = 0;
		c->tries = c->n_opened = 0;
		c->head_done = c->forbidden = c->too_large = c->fresh = false;
		c->error[0] = '\0';
		rc = call_set_request(c);
		rc = rc == CURLE_OK ? call_set_sign(c) : rc;
		rc = rc == CURLE_OK ? call_set_way(c) : rc;
		rc = rc == CURLE_OK ? call_set_resolve(c) : rc;
	}
	if (rc == CURLE_OK && o->curl->multi_add_handle(o->multi, c->easy) == CURLM_OK) {
		t->call = c;
		o->begun = true;
		return true;
	}
	if (c != NULL)
		call_free(o, c);
	(void)snprintf(t->req->why, sizeof t->req->why, "libcurl: %s", o->curl->easy_strerror(rc));
	return false;
}

void
sq_out_call_stop(struct sq_out_transfer *t)
{
	struct sq_out *o = t->out;
	struct sq_out_call *c = t->call;
	CURLMcode rc = o->curl->multi_remove_handle(o->multi, c->easy);

	assert(rc == CURLM_OK);
	t->call = NULL;
	for (unsigned i = 0; i < c->n_opened; i++)
		sq_out_socket_check(o, c->opened[i]);
	if (sq_buf_len(&c->resolve_text) > 0) {
		sq_buf_drain(&c->resolve_text, sq_buf_len(&c->resolve_text));
		(void)o->curl->easy_setopt(c->easy, CURLOPT_RESOLVE, NULL);
	}
	call_put(o, c);
}

/* Ends. */

/* What libcurl's results are to us; those that are not here: SQ_OUT_CUT. */
static const struct {
	CURLcode result;
	enum sq_out_end end;
} call_ends[] = {
    {CURLE_OK, SQ_OUT_ANSWERED},
    {CURLE_URL_MALFORMAT, SQ_OUT_INVALID},
    {CURLE_SSL_CERTPROBLEM, SQ_OUT_INVALID},
    {CURLE_SSL_CACERT_BADFILE, SQ_OUT_INVALID},
    {CURLE_SSL_CIPHER, SQ_OUT_INVALID},
    {CURLE_COULDNT_RESOLVE_PROXY, SQ_OUT_UNREACHABLE},
    {CURLE_COULDNT_RESOLVE_HOST, SQ_OUT_UNREACHABLE},
    {CURLE_COULDNT_CONNECT, SQ_OUT_UNREACHABLE},
    {CURLE_PROXY, SQ_OUT_UNREACHABLE},
    {CURLE_SSL_CONNECT_ERROR, SQ_OUT_UNREACHABLE},
    {CURLE_PEER_FAILED_VERIFICATION, SQ_OUT_UNREACHABLE},
    {CURLE_SSL_ISSUER_ERROR, SQ_OUT_UNREACHABLE},
    {CURLE_OPERATION_TIMEDOUT, SQ_OUT_TIMEOUT},
};

static enum sq_out_end
call_end(const struct sq_out_call *c, CURLcode result)
{
	if (c->too_large || (result == CURLE_OUT_OF_MEMORY && !c->head_done))
		return SQ_OUT_TOO_LARGE; /* a single line of the head that is too long is the latter */
	if (c->forbidden &&
	    (result == CURLE_COULDNT_CONNECT || result == CURLE_ABORTED_BY_CALLBACK))
		return SQ_OUT_FORBIDDEN;
	if (result == CURLE_OK && !c->head_done)
		return SQ_OUT_CUT; /* to libcurl the end of the connection is that of the head */
	for (size_t i = 0; i < SQ_ARRAY_LEN(call_ends); i++)
		if (call_ends[i].result == result)
			return call_ends[i].end;
	return SQ_OUT_CUT;
}

static const char *
call_why(const struct sq_out_call *c, enum sq_out_end end, CURLcode result)
{
	if (end == SQ_OUT_ANSWERED)
		return "";
	if (end == SQ_OUT_TOO_LARGE)
		return c->head_done ? "the answer is too large"
				    : "the answer's headers are too large";
	if (end == SQ_OUT_FORBIDDEN)
		return "its address is not allowed";
	if (result == CURLE_OK)
		return "the answer ends within its head";
	return c->error[0] != '\0' ? c->error : c->t->out->curl->easy_strerror(result);
}

/* Whether a pooled connection has died under the request, before anything of an answer: the server had
 * ended it.  Over TLS libcurl takes one of which only the farewell is left to read for alive, and sends a
 * request again in some of these cases alone. */
static bool
call_died(const struct sq_out_call *c, CURLcode result)
{
	long connects = 1;

	if (c->fresh || c->head > 0 ||
	    (result != CURLE_SEND_ERROR && result != CURLE_RECV_ERROR &&
		result != CURLE_GOT_NOTHING))
		return false;
	(void)c->t->out->curl->easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &connects);
	return connects == 0;
}

/* Sends the request once more, on a connection of its own; false: it can't be. */
static bool
call_again(struct sq_out *o, struct sq_out_call *c)
{
	c->fresh = true;
	if (o->curl->multi_remove_handle(o->multi, c->easy) != CURLM_OK ||
	    o->curl->easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, 1L) != CURLE_OK ||
	    o->curl->multi_add_handle(o->multi, c->easy) != CURLM_OK)
		return false;
	o->begun = true;
	return true;
}

struct sq_out_transfer *
sq_out_call_ended(struct sq_out *o, CURL *easy, CURLcode result, enum sq_out_end *end)
{
	struct sq_out_call *c = NULL;
	struct sq_out_request *req;
	long status = 0;

	(void)o->curl->easy_getinfo(easy, CURLINFO_PRIVATE, &c);
	if (call_died(c, result) && call_again(o, c))
		return NULL;
	(void)o->curl->easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	req = c->t->req;
	req->status = (unsigned)status;
	*end = call_end(c, result);
	(void)snprintf(
	    req->why, sizeof req->why, "%.*s", (int)sizeof req->why - 1, call_why(c, *end, result));
	if (result == CURLE_COULDNT_CONNECT || result == CURLE_OPERATION_TIMEDOUT)
		sq_out_name_doubt(c->t->name);
	return c->t;
}
