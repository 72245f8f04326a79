#include "net/curl/url.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "net/curl/library.h"

/* A copy of a part, NULL where there is none. */
static char *
url_part(const struct sq_curl *curl, CURLU *u, CURLUPart part, unsigned flags)
{
	char *text = NULL, *copy;

	if (curl->url_get(u, part, &text, flags) != CURLUE_OK)
		return NULL;
	copy = sq_xstrdup(text);
	explicit_bzero(text, strlen(text));
	curl->free(text);
	return copy;
}

static bool
url_has(const struct sq_curl *curl, CURLU *u, CURLUPart part)
{
	char *text = url_part(curl, u, part, 0);
	bool has = text != NULL;

	free(text);
	return has;
}

static int
url_parse(struct sq_url *out, const char *text, bool server, struct sq_buf *err)
{
	const struct sq_curl *curl = sq_curl_load(err);
	unsigned flags = server ? CURLU_DISALLOW_USER : CURLU_NON_SUPPORT_SCHEME;
	CURLU *u;
	bool good;

	*out = (struct sq_url){0};
	if (curl == NULL)
		return SQ_EIO;
	if ((u = curl->url()) == NULL)
		abort(); /* without memory */
	good = curl->url_set(u, CURLUPART_URL, text, flags) == CURLUE_OK;
	if (good) {
		out->scheme = url_part(curl, u, CURLUPART_SCHEME, 0);
		out->host = url_part(curl, u, CURLUPART_HOST, 0);
		out->port = url_part(curl, u, CURLUPART_PORT, 0);
		out->user = url_part(curl, u, CURLUPART_USER, CURLU_URLDECODE);
		out->password = url_part(curl, u, CURLUPART_PASSWORD, CURLU_URLDECODE);
		out->path = url_part(curl, u, CURLUPART_PATH, 0);
		good = out->scheme != NULL && out->host != NULL && out->host[0] != '\0';
	}
	if (good && server)
		good = (strcmp(out->scheme, "http") == 0 || strcmp(out->scheme, "https") == 0) &&
		    !url_has(curl, u, CURLUPART_QUERY) && !url_has(curl, u, CURLUPART_FRAGMENT);
	curl->url_cleanup(u);
	if (good)
		return SQ_OK;
	sq_url_fini(out);
	return SQ_EINVAL;
}

int
sq_url_parse(struct sq_url *out, const char *text, struct sq_buf *err)
{
	return url_parse(out, text, false, err);
}

int
sq_url_parse_server(struct sq_url *out, const char *text, struct sq_buf *err)
{
	return url_parse(out, text, true, err);
}

void
sq_url_fini(struct sq_url *u)
{
	if (u->password != NULL)
		explicit_bzero(u->password, strlen(u->password));
	free(u->scheme);
	free(u->host);
	free(u->port);
	free(u->user);
	free(u->password);
	free(u->path);
	*u = (struct sq_url){0};
}
