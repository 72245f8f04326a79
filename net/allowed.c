#include "net/allowed.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "net/conn/resolve.h"

enum { ALLOWED_LABELS = 3 };

/* Whether 'host' is below 'domain', which has no dot at its start. */
static bool
allowed_below(const char *host, const char *domain)
{
	size_t h = strlen(host), d = strlen(domain);

	return d > 0 && h > d + 1 && host[h - d - 1] == '.' &&
	    strcasecmp(host + h - d, domain) == 0;
}

static bool
allowed_numeric(const char *host)
{
	struct sq_addr addr;

	return sq_addr_numeric(host, 1, &addr) == 0;
}

static bool
allowed_narrow(const char *domain)
{
	unsigned labels = 1;

	for (const char *p = domain; *p != '\0'; p++)
		labels += *p == '.';
	return labels >= ALLOWED_LABELS || allowed_below(domain, "svc");
}

/* Whether a broker at 'known' may name 'host'. */
static bool
allowed_beside(const char *host, const char *known)
{
	const char *dot;

	if (strcasecmp(host, known) == 0)
		return true;
	if (allowed_numeric(host) || allowed_numeric(known))
		return false;
	dot = strchr(known, '.');
	return allowed_below(host, known) ||
	    (dot != NULL && allowed_narrow(dot + 1) && allowed_below(host, dot + 1));
}

static bool
allowed_fits(const char *host, const char *pattern)
{
	pattern += pattern[0] == '*' && pattern[1] == '.';
	if (pattern[0] != '.')
		return strcasecmp(host, pattern) == 0;
	return !allowed_numeric(host) && allowed_below(host, pattern + 1);
}

int
sq_allowed_check(const struct sq_strings *allowed, struct sq_buf *err)
{
	static const char chars[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:";

	for (size_t i = 0; i < allowed->n; i++) {
		const char *p = allowed->v[i];

		p += p[0] == '*' && p[1] == '.';
		if (p[0] != '\0' && strcmp(p, ".") != 0 && strlen(p) <= SQ_HOST_MAX &&
		    p[strspn(p, chars)] == '\0')
			continue;
		sq_buf_printf(
		    err, "pool.brokers-allowed: %s: not a host nor .domain", allowed->v[i]);
		return SQ_EINVAL;
	}
	return SQ_OK;
}

bool
sq_allowed_address(
    const struct sq_strings *allowed, const struct sq_strings *brokers, const char *address)
{
	char host[SQ_HOST_MAX + 1], known[SQ_HOST_MAX + 1];
	uint16_t port;

	if (sq_addr_split(address, host, &port) != 0 || port == 0)
		return false;
	if (allowed != NULL && allowed->n > 0) {
		for (size_t i = 0; i < allowed->n; i++)
			if (allowed_fits(host, allowed->v[i]))
				return true;
		return false;
	}
	for (size_t i = 0; i < brokers->n; i++)
		if (sq_addr_split(brokers->v[i], known, &port) == 0 && allowed_beside(host, known))
			return true;
	return false;
}
