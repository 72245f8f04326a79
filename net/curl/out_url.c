/* What a URL is for requests that leave: sq_out_url_check() of net/curl/out.h.  Stricter than the
 * standards and than libcurl, so that both read the same host out of what is taken. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/curl/out.h"

enum { HOST_MAX = 253, PORT_DIGITS = 5, PORT_MAX = 65535, HTTP = 80, HTTPS = 443 };

static const char schemes[][9] = {"http://", "https://"};

static int
url_bad(struct sq_buf *err, const char *why)
{
	sq_buf_printf(err, "%s", why);
	return SQ_EINVAL;
}

/* The first fault in the bytes of the whole; NULL: none. */
static const char *
url_bytes(const char *url)
{
	for (const char *p = url; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~')
			return "a URL has visible ASCII alone, all else as %XX";
		if (*p == '#')
			return "a URL to which something is posted has no fragment (#)";
		if (*p == '\\')
			return "a URL has no \\";
	}
	return NULL;
}

/* The host in 'len' bytes at 'p', which begins the authority; NULL: it is none. */
static const char *
url_host(const char *p, size_t authority, size_t *len)
{
	static const char name[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	if (authority > 0 && p[0] == '[') {
		*len = strspn(p + 1, "0123456789abcdefABCDEF:.");
		return p[1 + *len] == ']' && memchr(p + 1, ':', *len) != NULL ? p + 1 : NULL;
	}
	*len = strspn(p, name);
	return p;
}

/* Reads what follows the host; false: it is no port. */
static bool
url_port(const char *p, const char *end, bool https, uint16_t *out)
{
	unsigned long n = https ? HTTPS : HTTP;

	if (p != end) {
		size_t digits = strspn(p + 1, "0123456789");

		if (*p != ':' || digits == 0 || digits > PORT_DIGITS || p + 1 + digits != end)
			return false;
		n = strtoul(p + 1, NULL, 10);
		if (n == 0 || n > PORT_MAX)
			return false;
	}
	if (out != NULL)
		*out = (uint16_t)n;
	return true;
}

static int
url_authority(
    const char *p, bool https, char *host, size_t room, uint16_t *port, struct sq_buf *err)
{
	size_t authority = strcspn(p, "/?"), len;
	const char *name = url_host(p, authority, &len), *after;

	if (memchr(p, '@', authority) != NULL)
		return url_bad(err, "a URL has no user information (@): see auth");
	if (name == NULL)
		return url_bad(err, "an address in brackets is one of IPv6, without a zone");
	after = name + len + (name != p);
	if (name == p && len > 1 && name[len - 1] == '.')
		len--;
	if (len == 0 || name[0] == '.' || len > HOST_MAX)
		return url_bad(err, "a URL has a host, of letters, digits, '.', '-' and '_'");
	if (!url_port(after, p + authority, https, port))
		return url_bad(err,
		    "behind a URL's host, of letters, digits, '.', '-' and '_', comes nothing, "
		    "a path, or a port of 1 to 65535");
	if (host == NULL)
		return SQ_OK;
	if (len >= room)
		return url_bad(err, "the URL's host is too long");
	for (size_t i = 0; i < len; i++)
		host[i] = (char)tolower((unsigned char)name[i]);
	host[len] = '\0';
	return SQ_OK;
}

int
sq_out_url_check(
    const char *url, bool *https, char *host, size_t room, uint16_t *port, struct sq_buf *err)
{
	const char *why = url_bytes(url);
	size_t scheme = strncasecmp(url, schemes[1], strlen(schemes[1])) == 0;

	if (why != NULL)
		return url_bad(err, why);
	if (strncasecmp(url, schemes[scheme], strlen(schemes[scheme])) != 0)
		return url_bad(err, "a URL begins with https:// or http://");
	if (https != NULL)
		*https = scheme == 1;
	return url_authority(url + strlen(schemes[scheme]), scheme == 1, host, room, port, err);
}
