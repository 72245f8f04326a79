/* What of a request is signed: AWS's Signature Version 4, which libcurl computes as it sends.
 *
 * libcurl 7.88.1 signs each header of the request's own, as it stands but for spaces around the value,
 * and with it one that was switched off.  So what the standard has written otherwise (several of one name,
 * spaces in a row, none at all) is refused here, and transfer.c switches nothing off. */
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "net/curl/out.h"

enum { SIGN_MAX = 8192 }; /* bytes of a text */

/* Whether the URL has no path but "/", and no query. */
static bool
sign_is_root(const char *url)
{
	const char *host = strstr(url, "://");
	size_t len;

	if (host == NULL)
		return false;
	host += 3;
	len = strcspn(host, "/?#");
	return host[len] == '\0' || strcmp(host + len, "/") == 0;
}

/* Whether a line, "name: value", is signed as whoever verifies it will read it. */
static bool
sign_line_good(const char *line)
{
	return strchr(line, ':') != NULL && strstr(line, "  ") == NULL &&
	    strchr(line, '\t') == NULL;
}

static bool
sign_headers_good(const struct sq_buf *headers)
{
	const char *text = (const char *)sq_buf_data(headers);
	size_t len = sq_buf_len(headers);

	for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
		size_t name = strcspn(text + at, ":") + 1;

		if (!sign_line_good(text + at))
			return false;
		for (size_t other = 0; other < at; other += strlen(text + other) + 1)
			if (strncasecmp(text + other, text + at, name) == 0)
				return false;
	}
	return true;
}

/* Whether a text may stand in the line that the signature is in. */
static bool
sign_text_good(const char *text, const char * not )
{
	size_t len = strlen(text);

	if (len == 0 || len > SIGN_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || strchr(not, text[i]) != NULL)
			return false;
	return true;
}

int
sq_out_sign(struct sq_out_request *req, const struct sq_out_signer *s)
{
	const char *const texts[] = {s->region, s->service, s->key_id, s->secret};
	size_t len = sizeof "aws:amz::";

	if (strcmp(req->method, "POST") != 0 || !sign_is_root(req->url) ||
	    !sign_text_good(s->region, ":/,") || !sign_text_good(s->service, ":/,") ||
	    !sign_text_good(s->key_id, ":/,") || !sign_text_good(s->secret, ""))
		return SQ_EINVAL;
	if (s->token != NULL &&
	    (!sign_text_good(s->token, "") ||
		sq_out_header(req, "X-Amz-Security-Token", sq_bytes_of(s->token)) != SQ_OK))
		return SQ_EINVAL;
	if (!sign_headers_good(&req->headers))
		return SQ_EINVAL;
	for (size_t i = 0; i < SQ_ARRAY_LEN(texts); i++)
		len += strlen(texts[i]) + 1;
	sq_buf_wipe(&req->sign);
	(void)sq_buf_reserve(&req->sign, len + 1);
	sq_buf_printf(&req->sign, "aws:amz:%s:%s%c%s%c%s%c", s->region, s->service, 0, s->key_id, 0,
	    s->secret, 0);
	return SQ_OK;
}
