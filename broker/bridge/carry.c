#include "broker/bridge/carry.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#include "proto/props/names.h"

enum { INSTALL_DIGITS = 16 };

/* Properties. */

static bool
carry_begins(struct sq_bytes name, const char *with)
{
	size_t len = strlen(with);

	return name.len >= len && strncasecmp((const char *)name.p, with, len) == 0;
}

bool
sq_carry_property(struct sq_bytes name)
{
	return !carry_begins(name, SQ_PROP_PREFIX) ||
	    (name.len == strlen(SQ_PROP_ORDER_KEY) && carry_begins(name, SQ_PROP_ORDER_KEY));
}

/* Hops. */

/* Takes the next hop off the rest, apart at its last '/'.  False: there is none. */
static bool
hops_next(struct sq_bytes *rest, struct sq_bytes *install, struct sq_bytes *bridge)
{
	const unsigned char *comma = rest->len > 0 ? memchr(rest->p, ',', rest->len) : NULL;
	size_t len = comma != NULL ? (size_t)(comma - rest->p) : rest->len, at = len;

	if (rest->len == 0)
		return false;
	while (at > 0 && rest->p[at - 1] != '/')
		at--;
	*install = (struct sq_bytes){rest->p, at > 0 ? at - 1 : len};
	*bridge = (struct sq_bytes){rest->p + (at > 0 ? at : len), at > 0 ? len - at : 0};
	rest->p += len + (comma != NULL);
	rest->len -= len + (comma != NULL);
	return true;
}

/* The digits at the end of an installation: its name may change. */
static struct sq_bytes
hops_digits(struct sq_bytes install)
{
	size_t skip = install.len > INSTALL_DIGITS ? install.len - INSTALL_DIGITS : 0;

	return (struct sq_bytes){install.p + skip, install.len - skip};
}

/* Whether a hop is of that bridge; NULL: of any. */
static bool
hops_name(struct sq_bytes hops, const char *install, const char *bridge)
{
	struct sq_bytes ours = hops_digits(sq_bytes_of(install)), in, by;

	while (hops_next(&hops, &in, &by)) {
		struct sq_bytes digits = hops_digits(in);

		if (digits.len == ours.len && memcmp(digits.p, ours.p, ours.len) == 0 &&
		    (bridge == NULL || sq_bytes_are(by, bridge)))
			return true;
	}
	return false;
}

bool
sq_hops_have(struct sq_bytes hops, const char *install)
{
	return hops_name(hops, install, NULL);
}

bool
sq_hops_have_bridge(struct sq_bytes hops, const char *install, const char *bridge)
{
	return hops_name(hops, install, bridge);
}

unsigned
sq_hops_count(struct sq_bytes hops)
{
	struct sq_bytes install, bridge;
	unsigned n = 0;

	if (hops.len > SQ_CARRY_HOPS_MAX)
		return UINT_MAX;
	while (hops_next(&hops, &install, &bridge))
		n++;
	return n;
}

static bool
hops_good(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    strchr(",/._-", c) != NULL;
}

void
sq_hops_add(struct sq_bytes hops, const char *install, const char *bridge, struct sq_buf *out)
{
	for (size_t i = 0; i < hops.len; i++)
		sq_buf_u8(out, hops.p[i] != '\0' && hops_good(hops.p[i]) ? hops.p[i] : '_');
	sq_buf_printf(out, "%s%s/%s", hops.len > 0 ? "," : "", install, bridge);
}
