/* Names as Kubernetes and container registries have them. */
#include <string.h>

#include "proto/annotations/values.h"

static bool
is_lower(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_alnum(unsigned char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

/* Takes what stands before the next 'c', or all; false: nothing is left. */
static bool
split(struct sq_bytes *rest, char c, struct sq_bytes *part)
{
	const unsigned char *at;

	if (rest->p == NULL)
		return false;
	at = memchr(rest->p, c, rest->len);
	*part = (struct sq_bytes){rest->p, at != NULL ? (size_t)(at - rest->p) : rest->len};
	*rest = at != NULL ? (struct sq_bytes){at + 1, rest->len - part->len - 1}
			   : (struct sq_bytes){0};
	return true;
}

/* Letters, digits and dashes, none of these at an end. */
static bool
label_ok(struct sq_bytes label, bool lower)
{
	for (size_t i = 0; i < label.len; i++) {
		bool dash = label.p[i] == '-' && i > 0 && i + 1 < label.len;

		if (!dash && !(lower ? is_lower(label.p[i]) : is_alnum(label.p[i])))
			return false;
	}
	return label.len > 0;
}

bool
sq_value_subdomain(struct sq_bytes name)
{
	struct sq_bytes rest = name, label;

	if (name.len == 0 || name.len > 253)
		return false;
	while (split(&rest, '.', &label)) {
		if (!label_ok(label, true))
			return false;
	}
	return true;
}

/* --- images: the grammar of the "distribution" project's references --- */

enum { IMAGE_NAME_MAX = 255, IMAGE_TAG_MAX = 128, IMAGE_DIGEST_MIN = 32 };

static bool
image_port(struct sq_bytes port)
{
	for (size_t i = 0; i < port.len; i++) {
		if (port.p[i] < '0' || port.p[i] > '9')
			return false;
	}
	return port.len > 0 && port.len <= 5;
}

/* [::1], behind which a port may stand. */
static bool
image_ipv6(struct sq_bytes host)
{
	const unsigned char *end = memchr(host.p, ']', host.len);
	size_t len = end != NULL ? (size_t)(end - host.p) : 0;

	if (len < 3) /* two colons at the least */
		return false;
	for (size_t i = 1; i < len; i++) {
		if (strchr("0123456789abcdefABCDEF:", host.p[i]) == NULL)
			return false;
	}
	if (len + 1 == host.len)
		return true;
	return host.p[len + 1] == ':' &&
	    image_port((struct sq_bytes){&host.p[len + 2], host.len - len - 2});
}

/* A registry: a name or an address, and a port. */
static bool
image_registry(struct sq_bytes host)
{
	struct sq_bytes name, label, port = host;

	if (host.len > 0 && host.p[0] == '[')
		return image_ipv6(host);
	(void)split(&port, ':', &name);
	if (port.p != NULL && !image_port(port))
		return false;
	while (split(&name, '.', &label)) {
		if (!label_ok(label, false))
			return false;
	}
	return true;
}

/* Lower-case words with one dot, one or two underscores, or dashes between. */
static bool
image_component(struct sq_bytes c)
{
	size_t run = 0; /* separators in a row */

	if (c.len == 0 || !is_lower(c.p[0]) || !is_lower(c.p[c.len - 1]))
		return false;
	for (size_t i = 0; i < c.len; i++) {
		if (is_lower(c.p[i])) {
			run = 0;
			continue;
		}
		if (strchr("._-", c.p[i]) == NULL || (run > 0 && c.p[i] != c.p[i - 1]))
			return false;
		run++;
		if ((c.p[i] == '.' && run > 1) || (c.p[i] == '_' && run > 2))
			return false;
	}
	return true;
}

static bool
image_tag(struct sq_bytes tag)
{
	for (size_t i = 0; i < tag.len; i++) {
		if (!is_alnum(tag.p[i]) && tag.p[i] != '_' &&
		    (i == 0 || (tag.p[i] != '.' && tag.p[i] != '-')))
			return false;
	}
	return tag.len > 0 && tag.len <= IMAGE_TAG_MAX;
}

/* sha256:0123... */
static bool
image_digest(struct sq_bytes digest)
{
	struct sq_bytes kind;
	bool word = false; /* within a word of the algorithm */

	(void)split(&digest, ':', &kind);
	for (size_t i = 0; i < kind.len; i++) {
		bool letter = is_alnum(kind.p[i]) && (kind.p[i] < '0' || kind.p[i] > '9');

		if (!word ? !letter : !is_alnum(kind.p[i]) && strchr("+.-_", kind.p[i]) == NULL)
			return false;
		word = is_alnum(kind.p[i]);
	}
	for (size_t i = 0; i < digest.len; i++) {
		if (strchr("0123456789abcdefABCDEF", digest.p[i]) == NULL)
			return false;
	}
	return word && digest.len >= IMAGE_DIGEST_MIN && digest.len <= 256;
}

/* Whether the first component is a registry: it could be no part of a path. */
static bool
image_has_registry(struct sq_bytes first, bool alone)
{
	bool upper = false;

	for (size_t i = 0; i < first.len; i++)
		upper = upper || (first.p[i] >= 'A' && first.p[i] <= 'Z');
	return !alone &&
	    (upper || memchr(first.p, '.', first.len) != NULL ||
		memchr(first.p, ':', first.len) != NULL ||
		(first.len == 9 && memcmp(first.p, "localhost", 9) == 0));
}

const char *
sq_value_not_an_image(struct sq_bytes name)
{
	struct sq_bytes digest = name, rest = {0}, part;
	const unsigned char *tag = NULL;
	bool first = true;

	(void)split(&digest, '@', &rest);
	if (digest.p != NULL && !image_digest(digest))
		return "a digest is one like sha256: and 64 hex digits";
	for (size_t i = 0; i < rest.len; i++) {
		if (rest.p[i] == '/')
			tag = NULL;
		else if (rest.p[i] == ':' && tag == NULL)
			tag = &rest.p[i];
	}
	/* A colon in the only component begins the tag; in a registry, a slash follows. */
	if (tag != NULL) {
		size_t len = (size_t)(tag - rest.p);

		if (!image_tag((struct sq_bytes){tag + 1, rest.len - len - 1}))
			return "a tag has 1 to 128 letters, digits, _ . and -";
		rest.len = len;
	}
	if (rest.len == 0 || rest.len > IMAGE_NAME_MAX)
		return "a name has 1 to 255 characters";
	for (; split(&rest, '/', &part); first = false) {
		if (first && image_has_registry(part, rest.p == NULL)) {
			if (!image_registry(part))
				return "a registry is a host's name or address, and a port";
		} else if (!image_component(part)) {
			return "a part of a name has lower-case letters and digits, and . _ __ or "
			       "- between them";
		}
	}
	return NULL;
}
