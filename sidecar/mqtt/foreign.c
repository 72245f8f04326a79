/* The first bytes of other protocols; see sidecar/mqtt/foreign.h. */
#include "sidecar/mqtt/foreign.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"

enum { TLS_HANDSHAKE = 0x16, TLS_MAJOR = 0x03 }; /* RFC 8446 §5.1 */

static const struct {
	const char *name, *hint;
} foreign_texts[] = {
    [SQ_FOREIGN_HTTP] = {"an HTTP request", "/livez, /readyz and /metrics are at admin.listen"},
    [SQ_FOREIGN_WEBSOCKET] = {"a WebSocket handshake",
	"connect with mqtt://, which is plain TCP, not with ws://"},
    [SQ_FOREIGN_TLS] = {"a TLS handshake",
	"connect without TLS, the sidecar encrypts on the way to the broker"},
};

/* The methods of RFC 9110 and RFC 5789, and the preface of HTTP/2. */
static const char *const foreign_methods[] = {"GET ", "HEAD ", "POST ", "PUT ", "DELETE ",
    "OPTIONS ", "PATCH ", "CONNECT ", "TRACE ", "PRI * HTTP/2"};

/* Whether a line of the head is "Upgrade: websocket" (RFC 6455 §4.1). */
static bool
foreign_upgrades(const unsigned char *p, size_t len)
{
	static const char field[] = "upgrade:", value[] = "websocket";
	const size_t nf = sizeof field - 1, nv = sizeof value - 1;
	const unsigned char *end = p + len, *line = memchr(p, '\n', len);

	for (; line != NULL; line = memchr(line, '\n', (size_t)(end - line))) {
		line++;
		if ((size_t)(end - line) < nf + nv ||
		    strncasecmp((const char *)line, field, nf) != 0)
			continue;
		for (line += nf; (size_t)(end - line) > nv && *line == ' ';)
			line++;
		if (strncasecmp((const char *)line, value, nv) == 0)
			return true;
	}
	return false;
}

static enum sq_foreign
foreign_http(const unsigned char *p, size_t len, bool last)
{
	bool whole = len >= SQ_FOREIGN_HEAD_MAX || memmem(p, len, "\r\n\r\n", 4) != NULL;

	if (p[0] != 'G') /* a WebSocket begins with GET */
		return SQ_FOREIGN_HTTP;
	if (foreign_upgrades(p, len))
		return SQ_FOREIGN_WEBSOCKET;
	return whole || last ? SQ_FOREIGN_HTTP : SQ_FOREIGN_UNSURE;
}

enum sq_foreign
sq_foreign_find(const unsigned char *p, size_t len, bool last)
{
	const enum sq_foreign more = last ? SQ_FOREIGN_NONE : SQ_FOREIGN_UNSURE;

	if (len == 0)
		return more;
	if (p[0] == TLS_HANDSHAKE)
		return len == 1 ? more : p[1] == TLS_MAJOR ? SQ_FOREIGN_TLS : SQ_FOREIGN_NONE;
	for (size_t i = 0; i < SQ_ARRAY_LEN(foreign_methods); i++) {
		size_t n = strlen(foreign_methods[i]);

		if (memcmp(p, foreign_methods[i], len < n ? len : n) != 0)
			continue;
		if (len >= n)
			return foreign_http(p, len, last);
		return more; /* methods that begin alike differ in their second letter */
	}
	return SQ_FOREIGN_NONE;
}

const char *
sq_foreign_name(enum sq_foreign f)
{
	assert(f >= SQ_FOREIGN_HTTP && f <= SQ_FOREIGN_TLS);
	return foreign_texts[f].name;
}

const char *
sq_foreign_hint(enum sq_foreign f)
{
	assert(f >= SQ_FOREIGN_HTTP && f <= SQ_FOREIGN_TLS);
	return foreign_texts[f].hint;
}

void
sq_foreign_answer(enum sq_foreign f, struct sq_buf *out)
{
	struct sq_buf body = {0};

	if (f != SQ_FOREIGN_HTTP && f != SQ_FOREIGN_WEBSOCKET)
		return;
	sq_buf_printf(
	    &body, "This is a port for MQTT 3.1.1 and 5 over plain TCP; %s.\n", sq_foreign_hint(f));
	sq_buf_printf(out,
	    "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
	    "content-length: %zu\r\nconnection: close\r\n\r\n",
	    sq_buf_len(&body));
	sq_buf_append(out, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
}
