/* Counts the fields of an HTTP/2 head by its HPACK (RFC 7541, 6): h2o makes some hundred bytes of
 * each, and a field can be a single byte that refers to a table.  Pure; nothing is decoded. */
#ifndef SQ_BROKER_FRONT_DOOR_FIELDS_H
#define SQ_BROKER_FRONT_DOOR_FIELDS_H

#include <stddef.h>
#include <stdint.h>

/* A position in a head; zeroed at its beginning. */
struct sq_fields {
	unsigned n; /* fields that have begun, and changes of the table's size */
	unsigned char at, after, shift;
	uint64_t left; /* bytes of a string */
};

/* Counts in the next bytes of the same head.  The count of a head that h2o refuses as malformed is
 * undefined. */
void sq_fields_take(struct sq_fields *, const unsigned char *p, size_t len);

#endif
