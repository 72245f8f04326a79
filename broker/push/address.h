/* Addresses and ranges of them, and what each is: the tables of the address policy (policy.h).
 *
 * An address of IPv4 is that of IPv6 that maps it, ::ffff:a.b.c.d: one that is written so is the same.
 * Pure.  Thread: any. */
#ifndef SQ_BROKER_PUSH_ADDRESS_H
#define SQ_BROKER_PUSH_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_push_address {
	unsigned char at[16];
};

struct sq_push_range {
	struct sq_push_address first;
	unsigned bits; /* of 'first' that count */
};

enum sq_push_reach {
	SQ_PUSH_PRIVATE, /* networks of one's own */
	SQ_PUSH_CLOSED, /* this machine, its neighbours, what is no destination, services of clouds */
};

/* A range that is not public. */
struct sq_push_block {
	struct sq_push_range range;
	enum sq_push_reach reach;
	unsigned carries; /* an IPv4 address from that byte on, to which a gateway leads; 0: none */
	const char *name; /* "loopback" */
};

/* False: it is neither of IPv4 nor of IPv6. */
bool sq_push_address_of(const struct sockaddr *, struct sq_push_address *out);
/* Reads the host of a URL as programs do who connect: 127.1, 0x7f000001 and 2130706433 are 127.0.0.1, and
 * so is localhost.  False: it is a name. */
bool sq_push_address_read(const char *host, struct sq_push_address *out);
/* Appends it as text. */
void sq_push_address_print(const struct sq_push_address *, struct sq_buf *out);
bool sq_push_address_equal(const struct sq_push_address *, const struct sq_push_address *);
/* Reads "10.0.0.0/8", "fd00::/8", or an address: the range of it alone.  SQ_EINVAL with the reason in
 * 'err'. */
int
sq_push_range_read(const char *text, struct sq_push_range *out, struct sq_buf *err) SQ_MUST_CHECK;
bool sq_push_range_has(const struct sq_push_range *, const struct sq_push_address *);
/* The block that has it, the smallest; NULL: it is public. */
const struct sq_push_block *sq_push_block_of(const struct sq_push_address *);
/* The IPv4 address that one of a block with 'carries' stands for. */
struct sq_push_address
sq_push_address_carried(const struct sq_push_block *, const struct sq_push_address *);

#endif
