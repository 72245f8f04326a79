/* The table of paths; see broker/front/link/route.h. */
#include "broker/front/link/route.h"

#include <stdbool.h>
#include <string.h>

#include "core/mem.h"

#define HEX_DIGITS 16u
#define WAIT_MAX_S 30u
#define NUMBER_DIGITS 19u
#define SPACE_MAX 768u /* bytes, percent-encoded */

static const struct route {
	const char *folder; /* "/v1/<folder>/<name>[/<leaf>]" */
	const char *leaf;   /* NULL: none */
	const char *method;
	enum sq_route_kind kind;
	bool epoch; /* wants ?epoch= */
} routes[] = {
    {"sessions", "messages", "POST", SQ_ROUTE_MESSAGES, true},
    {"sessions", "settlements", "POST", SQ_ROUTE_SETTLEMENTS, true},
    {"sessions", NULL, "PUT", SQ_ROUTE_ATTACH, false},
    {"sessions", "subscriptions", "POST", SQ_ROUTE_SUBSCRIPTIONS, true},
    {"sessions", "detach", "POST", SQ_ROUTE_DETACH, true},
    {"links", "deliveries", "GET", SQ_ROUTE_DELIVERIES, false},
    {"trust", NULL, "GET", SQ_ROUTE_TRUST, false},
};

/* Takes 's' off the front of 'b'. */
static bool
bytes_skip(struct sq_bytes *b, const char *s)
{
	size_t n = strlen(s);

	if (b->len < n || memcmp(b->p, s, n) != 0)
		return false;
	b->p += n;
	b->len -= n;
	return true;
}

/* Cuts the part before the first 'c', and the 'c', from the front of 'b'; all of 'b' if there is
 * none, with 'found' false. */
static struct sq_bytes
bytes_until(struct sq_bytes *b, char c, bool *found)
{
	const unsigned char *at = b->len > 0 ? memchr(b->p, c, b->len) : NULL;
	struct sq_bytes head = {b->p, at != NULL ? (size_t)(at - b->p) : b->len};
	size_t used = head.len + (at != NULL);

	*found = at != NULL;
	b->p += used;
	b->len -= used;
	return head;
}

static bool
bytes_hex(struct sq_bytes b, uint64_t *out)
{
	uint64_t v = 0;

	if (b.len != HEX_DIGITS)
		return false;
	for (size_t i = 0; i < b.len; i++) {
		unsigned char c = b.p[i], low = c | 0x20;

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if (low >= 'a' && low <= 'f')
			v = v << 4 | (low - 'a' + 10u);
		else
			return false;
	}
	*out = v;
	return true;
}

static bool
bytes_number(struct sq_bytes b, uint64_t *out)
{
	*out = 0;
	if (b.len == 0 || b.len > NUMBER_DIGITS)
		return false;
	for (size_t i = 0; i < b.len; i++) {
		if (b.p[i] < '0' || b.p[i] > '9')
			return false;
		*out = *out * 10 + (b.p[i] - '0');
	}
	return true;
}

/* "SECONDS&epoch=NUMBER" */
static bool
route_wait(struct sq_bytes query, struct sq_route *out)
{
	bool more;
	uint64_t wait_s;

	if (!bytes_number(bytes_until(&query, '&', &more), &wait_s) || wait_s > WAIT_MAX_S ||
	    !bytes_skip(&query, "epoch=") || !bytes_number(query, &out->epoch))
		return false;
	out->wait_s = (unsigned)wait_s;
	return true;
}

/* The row of a path, or NULL. */
static const struct route *
route_row(struct sq_bytes folder, struct sq_bytes leaf, bool has_leaf)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(routes); i++) {
		const struct route *r = &routes[i];

		if (has_leaf == (r->leaf != NULL) && sq_bytes_are(folder, r->folder) &&
		    (r->leaf == NULL || sq_bytes_are(leaf, r->leaf)))
			return r;
	}
	return NULL;
}

static unsigned
route_refuse(struct sq_route *out, unsigned status, const char *detail)
{
	out->detail = detail;
	return status;
}

unsigned
sq_route_find(struct sq_bytes method, struct sq_bytes target, struct sq_route *out)
{
	bool query, more, leaf;
	struct sq_bytes path = bytes_until(&target, '?', &query), folder, name;
	const struct route *r = NULL;

	*out = (struct sq_route){0};
	if (bytes_skip(&path, "/v1/")) {
		folder = bytes_until(&path, '/', &more);
		name = bytes_until(&path, '/', &leaf);
		if (more && name.len > 0)
			r = route_row(folder, path, leaf);
	}
	if (r == NULL || (r->kind == SQ_ROUTE_TRUST && !sq_bytes_are(name, "bundle")))
		return route_refuse(out, 404, "no such path");
	if (!sq_bytes_are(method, r->method)) {
		out->allow = r->method;
		return route_refuse(out, 405, "the path takes another method");
	}
	out->kind = r->kind;
	out->key = name;
	if (r->kind == SQ_ROUTE_DELIVERIES && !bytes_hex(name, &out->link))
		return route_refuse(out, 400, "the link id is not 16 hex digits");
	if (r->kind == SQ_ROUTE_DELIVERIES && bytes_skip(&target, "space=")) {
		out->has_space = true;
		if (bytes_until(&target, '&', &more).len > SPACE_MAX)
			return route_refuse(out, 400, "the space is too long");
		if (bytes_skip(&target, "wait=") && !route_wait(target, out))
			return route_refuse(out, 400, "not ?wait=SECONDS&epoch=NUMBER, up to 30 s");
	}
	if (r->epoch && !(bytes_skip(&target, "epoch=") && bytes_hex(target, &out->epoch)))
		return route_refuse(out, 400, "the epoch is not 16 hex digits");
	return 0;
}
