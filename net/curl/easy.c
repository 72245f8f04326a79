#include "net/curl/easy.h"

#include <stdlib.h>
#include <string.h>

CURLcode
sq_easy_set_up(const struct sq_curl *curl, CURL *easy, const char *proxy)
{
	CURLcode rc = CURLE_OK;

#define SET(option, value) rc = rc != CURLE_OK ? rc : curl->easy_setopt(easy, option, value)
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PATH_AS_IS, 1L); /* "." and ".." are levels of topics */
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, proxy != NULL ? proxy : "");
	SET(CURLOPT_NOPROXY, proxy != NULL ? "" : "*");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_KEYPASSWD, "");
	SET(CURLOPT_QUICK_EXIT, 1L);
#undef SET
	return rc;
}

void
sq_easy_line(const struct sq_curl *curl, struct curl_slist **lines, const char *line)
{
	struct curl_slist *more = curl->slist_append(*lines, line);

	if (more == NULL)
		abort(); /* without memory */
	*lines = more;
}

void
sq_easy_lines_free(const struct sq_curl *curl, struct curl_slist **lines)
{
	for (struct curl_slist *l = *lines; l != NULL; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl->slist_free_all(*lines);
	*lines = NULL;
}
