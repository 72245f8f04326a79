/* Parts of requests to an API server; see net/kube_api/parts.h. */
#include "net/kube_api/parts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/mem.h"
#include "net/curl/url.h"
#include "net/kube_api/kube_api.h"

enum { KUBE_MESSAGE_MAX = 300 /* bytes of it that are said */ };

static bool
kube_is_set(const char *s)
{
	return s != NULL && *s != '\0';
}

/* The address that kubelet tells each container. */
static char *
kube_of_environment(struct sq_buf *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	struct sq_buf url = {0};
	bool v6;

	if (!kube_is_set(host)) {
		sq_buf_printf(err,
		    "no Kubernetes API server: KUBERNETES_SERVICE_HOST is not set; is this a pod?");
		return NULL;
	}
	v6 = strchr(host, ':') != NULL && host[0] != '[';
	sq_buf_printf(&url, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "",
	    kube_is_set(port) ? port : "443");
	sq_buf_u8(&url, 0);
	return (char *)sq_buf_data(&url);
}

char *
sq_kube_server(const char *given, bool token, struct sq_buf *err)
{
	char *server = kube_is_set(given) ? sq_xstrdup(given) : kube_of_environment(err);
	struct sq_url u;
	bool good = false;
	int rc;

	if (server == NULL)
		return NULL;
	rc = sq_url_parse_server(&u, server, err);
	if (rc == SQ_EINVAL || (rc == SQ_OK && strcmp(u.path, "/") != 0)) {
		sq_buf_printf(
		    err, "%s: not the address of an API server (https://host:port)", server);
	} else if (rc == SQ_OK && token && strcmp(u.scheme, "http") == 0) {
		sq_buf_printf(err, "%s: a token is not sent in clear text", server);
	} else {
		good = rc == SQ_OK;
	}
	sq_url_fini(&u);
	if (good && server[strlen(server) - 1] == '/')
		server[strlen(server) - 1] = '\0';
	if (good)
		return server;
	free(server);
	return NULL;
}

/* Whether it can stand in a header: visible ASCII (RFC 6750 §2.1). */
static bool
kube_is_token(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return false;
	return len > 0 && len <= SQ_KUBE_API_TOKEN_MAX;
}

/* Moves the text to the front without the white space around it, and ends it. */
static size_t
kube_trim(char *text, size_t len)
{
	size_t from = 0;

	while (len > 0 && memchr(" \t\r\n", text[len - 1], 4) != NULL)
		len--;
	while (from < len && memchr(" \t\r\n", text[from], 4) != NULL)
		from++;
	memmove(text, text + from, len - from);
	text[len - from] = '\0';
	return len - from;
}

int
sq_kube_bearer(const char *token_file, struct sq_buf *value, struct sq_buf *err)
{
	static const char head[] = "Bearer ";
	const size_t at = sizeof head - 1;
	char *token;
	int rc;

	(void)sq_buf_reserve(value, at + SQ_KUBE_API_TOKEN_MAX + 2);
	sq_buf_append(value, head, at);
	rc = sq_file_read(token_file, SQ_KUBE_API_TOKEN_MAX, value);
	if (rc != SQ_OK && rc != SQ_ETOOBIG) {
		sq_buf_printf(err, "%s: %s", token_file, sq_file_reason(rc));
		return rc;
	}
	sq_buf_u8(value, 0);
	token = (char *)sq_buf_data(value) + at;
	if (rc == SQ_OK && kube_is_token(token, kube_trim(token, sq_buf_len(value) - at - 1)))
		return SQ_OK;
	sq_buf_printf(err, "%s: it does not hold one token", token_file);
	return SQ_EINVAL;
}

/* Appends at most KUBE_MESSAGE_MAX bytes, one line. */
static void
kube_say_text(struct sq_buf *out, const char *p, size_t len)
{
	for (size_t i = 0; i < len && i < KUBE_MESSAGE_MAX; i++)
		sq_buf_u8(out, (unsigned char)p[i] < ' ' ? ' ' : (unsigned char)p[i]);
}

void
sq_kube_explain(unsigned status, const struct sq_buf *body, struct sq_buf *out)
{
	const char *text = (const char *)sq_buf_data(body);
	size_t len = sq_buf_len(body);
	json_t *o = len > 0 ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *message = json_string_value(json_object_get(o, "message"));

	sq_buf_printf(out, "status %u%s", status, len > 0 ? ": " : "");
	if (message != NULL)
		kube_say_text(out, message, strlen(message));
	else
		kube_say_text(out, text, len);
	json_decref(o);
}
