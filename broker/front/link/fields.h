/* How many fields a head of HTTP/2 has, by its HPACK (RFC 7541, 6): h2o makes some hundred
 * bytes of each, and one can be a byte that says which of a table.  Pure; nothing is decoded. */
#ifndef SQ_BROKER_FRONT_LINK_FIELDS_H
#define SQ_BROKER_FRONT_LINK_FIELDS_H

#include <stddef.h>
#include <stdint.h>

/* Where in a head one is; zero is its begin. */
struct sq_fields {
	unsigned n; /* fields that have begun, and changes of the table's size */
	unsigned char at, after, shift;
	uint64_t left; /* bytes of a string */
};

/* Goes on with the next bytes of the same head.  What h2o refuses as malformed is counted
 * somehow. */
void sq_fields_take(struct sq_fields *, const unsigned char *p, size_t len);

#endif
