/* See broker/push/address.h.  The blocks are those of the registries of IANA for special purposes (RFC
 * 6890 and what followed), and addresses at which clouds hand out credentials to whoever asks. */
#include "broker/push/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { BITS = 128, V4_AT = 12, V4_BITS = BITS - 32 };

static const unsigned char mapped[V4_AT] = {[10] = 0xff, [11] = 0xff};

#define V4(a, b, c, d, n) \
	{ \
		{{[10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b), [14] = (c), [15] = (d)}}, \
		    V4_BITS + (n) \
	}
#define V6(a, b, c, n) \
	{ \
		{{(a) >> 8, (a)&0xff, (b) >> 8, (b)&0xff, (c) >> 8, (c)&0xff}}, (n) \
	}
#define V6_END(a, b, last) \
	{ \
		{{(a) >> 8, (a)&0xff, (b) >> 8, \
		    (b)&0xff, [14] = (last) >> 8, [15] = (last)&0xff}}, \
		    BITS \
	}

/* A block stands before those that it lies in. */
static const struct sq_push_block blocks[] = {
    {V4(0, 0, 0, 0, 8), SQ_PUSH_CLOSED, 0, "unspecified"},
    {V4(10, 0, 0, 0, 8), SQ_PUSH_PRIVATE, 0, "private"},
    {V4(100, 100, 100, 200, 32), SQ_PUSH_CLOSED, 0, "a cloud's metadata"},
    {V4(100, 64, 0, 0, 10), SQ_PUSH_PRIVATE, 0, "private (of a carrier)"},
    {V4(127, 0, 0, 0, 8), SQ_PUSH_CLOSED, 0, "loopback"},
    {V4(168, 63, 129, 16, 32), SQ_PUSH_CLOSED, 0, "a cloud's metadata"},
    {V4(169, 254, 0, 0, 16), SQ_PUSH_CLOSED, 0, "link-local, and clouds' metadata"},
    {V4(172, 16, 0, 0, 12), SQ_PUSH_PRIVATE, 0, "private"},
    {V4(192, 0, 0, 0, 24), SQ_PUSH_CLOSED, 0, "reserved for protocols"},
    {V4(192, 0, 2, 0, 24), SQ_PUSH_CLOSED, 0, "for documentation"},
    {V4(192, 88, 99, 0, 24), SQ_PUSH_CLOSED, 0, "relays of 6to4"},
    {V4(192, 168, 0, 0, 16), SQ_PUSH_PRIVATE, 0, "private"},
    {V4(198, 18, 0, 0, 15), SQ_PUSH_CLOSED, 0, "for measurements"},
    {V4(198, 51, 100, 0, 24), SQ_PUSH_CLOSED, 0, "for documentation"},
    {V4(203, 0, 113, 0, 24), SQ_PUSH_CLOSED, 0, "for documentation"},
    {V4(224, 0, 0, 0, 4), SQ_PUSH_CLOSED, 0, "multicast"},
    {V4(255, 255, 255, 255, 32), SQ_PUSH_CLOSED, 0, "broadcast"},
    {V4(240, 0, 0, 0, 4), SQ_PUSH_CLOSED, 0, "reserved"},
    {V6_END(0, 0, 0), SQ_PUSH_CLOSED, 0, "unspecified"},
    {V6_END(0, 0, 1), SQ_PUSH_CLOSED, 0, "loopback"},
    {V6(0, 0, 0, 96), SQ_PUSH_CLOSED, V4_AT, "IPv4 in IPv6, as nobody does any more"},
    {V6(0x64, 0xff9b, 0, 96), SQ_PUSH_CLOSED, V4_AT, "IPv4 behind NAT64"},
    {V6(0x64, 0xff9b, 1, 48), SQ_PUSH_CLOSED, 0, "IPv4 behind NAT64"},
    {V6(0x2001, 0xdb8, 0, 32), SQ_PUSH_CLOSED, 0, "for documentation"},
    {V6(0x2001, 0, 0, 32), SQ_PUSH_CLOSED, 0, "Teredo"},
    {V6(0x2001, 0, 0, 23), SQ_PUSH_CLOSED, 0, "reserved for protocols"},
    {V6(0x2002, 0, 0, 16), SQ_PUSH_CLOSED, 2, "6to4"},
    {V6(0x3fff, 0, 0, 20), SQ_PUSH_CLOSED, 0, "for documentation"},
    {V6(0xfd00, 0xec2, 0, 32), SQ_PUSH_CLOSED, 0, "a cloud's metadata"},
    {{{{0xfd, 0x20, 0, 0xce, [14] = 0x02, [15] = 0x54}}, BITS}, SQ_PUSH_CLOSED, 0,
	"a cloud's metadata"},
    {V6(0xfc00, 0, 0, 7), SQ_PUSH_PRIVATE, 0, "private"},
    {V6(0xfe80, 0, 0, 10), SQ_PUSH_CLOSED, 0, "link-local"},
    {V6(0xfec0, 0, 0, 10), SQ_PUSH_CLOSED, 0, "site-local"},
    {V6(0xff00, 0, 0, 8), SQ_PUSH_CLOSED, 0, "multicast"},
    /* Public are those of 2000::/3 alone. */
    {V6(0x0000, 0, 0, 3), SQ_PUSH_CLOSED, 0, "reserved"},
    {V6(0x4000, 0, 0, 2), SQ_PUSH_CLOSED, 0, "reserved"},
    {V6(0x8000, 0, 0, 1), SQ_PUSH_CLOSED, 0, "reserved"},
};

bool
sq_push_address_of(const struct sockaddr *from, struct sq_push_address *out)
{
	memcpy(out->at, mapped, sizeof mapped);
	if (from->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, from, sizeof v4);
		memcpy(out->at + V4_AT, &v4.sin_addr, sizeof v4.sin_addr);
		return true;
	}
	if (from->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, from, sizeof v6);
		memcpy(out->at, &v6.sin6_addr, sizeof v6.sin6_addr);
		return true;
	}
	return false;
}

static bool
address_is_v4(const struct sq_push_address *a)
{
	return memcmp(a->at, mapped, sizeof mapped) == 0;
}

/* Whether it is localhost, or a name below it: RFC 6761. */
static bool
address_is_localhost(const char *host)
{
	static const char name[] = "localhost";
	size_t len = strlen(host), own = sizeof name - 1;

	return len >= own && strcmp(host + len - own, name) == 0 &&
	    (len == own || host[len - own - 1] == '.');
}

bool
sq_push_address_read(const char *host, struct sq_push_address *out)
{
	struct in_addr v4;

	memcpy(out->at, mapped, sizeof mapped);
	if (address_is_localhost(host))
		host = "127.0.0.1";
	if (strchr(host, ':') != NULL)
		return inet_pton(AF_INET6, host, out->at) == 1;
	if (host[strspn(host, "0123456789abcdefx.")] != '\0' || inet_aton(host, &v4) == 0)
		return false;
	memcpy(out->at + V4_AT, &v4, sizeof v4);
	return true;
}

void
sq_push_address_print(const struct sq_push_address *a, struct sq_buf *out)
{
	char text[INET6_ADDRSTRLEN];
	bool v4 = address_is_v4(a);

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->at + V4_AT : a->at, text, sizeof text);
	sq_buf_printf(out, "%s", text);
}

bool
sq_push_address_equal(const struct sq_push_address *a, const struct sq_push_address *b)
{
	return memcmp(a->at, b->at, sizeof a->at) == 0;
}

/* The bits behind '/': at most 'max'; -1: it is no such number. */
static int
range_bits(const char *text, unsigned max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return *end != '\0' || text[0] < '0' || text[0] > '9' || n > max ? -1 : (int)n;
}

/* Whether the bits of the address behind the first 'bits' are 0. */
static bool
range_clean(const struct sq_push_range *r)
{
	for (unsigned i = r->bits; i < BITS; i++) {
		if ((r->first.at[i / 8] >> (7 - i % 8) & 1) != 0)
			return false;
	}
	return true;
}

int
sq_push_range_read(const char *text, struct sq_push_range *out, struct sq_buf *err)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	bool v6 = memchr(text, ':', len) != NULL;
	unsigned before = v6 ? 0 : V4_BITS;
	int bits;

	memcpy(out->first.at, mapped, sizeof mapped);
	memcpy(host, text, len < sizeof host ? len : 0);
	host[len < sizeof host ? len : 0] = '\0';
	if (inet_pton(v6 ? AF_INET6 : AF_INET, host, v6 ? out->first.at : out->first.at + V4_AT) !=
	    1) {
		sq_buf_printf(
		    err, "%.64s is neither an address nor a range of them, as 10.0.0.0/8", text);
		return SQ_EINVAL;
	}
	bits = slash != NULL ? range_bits(slash + 1, BITS - before) : (int)(BITS - before);
	if (bits < 0) {
		sq_buf_printf(err, "%.64s: 0 to %u bits follow '/'", text, BITS - before);
		return SQ_EINVAL;
	}
	out->bits = before + (unsigned)bits;
	if (!range_clean(out)) {
		sq_buf_printf(err, "%.64s: has more bits than the %d that count", text, bits);
		return SQ_EINVAL;
	}
	return SQ_OK;
}

/* One of IPv6, however wide, has none of IPv4. */
bool
sq_push_range_has(const struct sq_push_range *r, const struct sq_push_address *a)
{
	unsigned whole = r->bits / 8, rest = r->bits % 8;
	bool v4 = r->bits >= V4_BITS && address_is_v4(&r->first);

	if (v4 != address_is_v4(a) || memcmp(r->first.at, a->at, whole) != 0)
		return false;
	return rest == 0 || ((r->first.at[whole] ^ a->at[whole]) >> (8 - rest)) == 0;
}

const struct sq_push_block *
sq_push_block_of(const struct sq_push_address *a)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(blocks); i++) {
		if (sq_push_range_has(&blocks[i].range, a))
			return &blocks[i];
	}
	return NULL;
}

struct sq_push_address
sq_push_address_carried(const struct sq_push_block *b, const struct sq_push_address *a)
{
	struct sq_push_address out;

	memcpy(out.at, mapped, sizeof mapped);
	memcpy(out.at + V4_AT, a->at + b->carries, sizeof out.at - V4_AT);
	return out;
}
