/* Check of the head of an HTTP/1.1 request, before h2o parses it. h2o accepts the first of two
 * Content-Length, and prefers Transfer-Encoding to one, which would let a request hide in another's
 * body (RFC 9112, 6.3 and 11.2).  And what the head says, while the body comes, before h2o hands the
 * request over.  Pure.
 *
 * The end of a head is the same as in h2o's parser: lines end in LF or CR LF, and one empty line
 * may come before the first. */
#ifndef SQ_BROKER_FRONT_DOOR_HEAD_H
#define SQ_BROKER_FRONT_DOOR_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/msg.h"

enum sq_head {
	SQ_HEAD_MORE, /* the head is not complete */
	SQ_HEAD_GOOD, /* h2o judges the rest */
	SQ_HEAD_MANY, /* it has more fields than SQ_HEAD_FIELDS_MAX, which is h2o's bound */
	SQ_HEAD_BAD,  /* the length of its body is in doubt, or a line is folded */
	SQ_HEAD_ELSE, /* the first line is not HTTP/1's; '*used' is not set */
};

enum { SQ_HEAD_FIELDS_MAX = 100 };

/* Checks the head at the beginning of 'p'; '*used': the bytes of a complete one. */
enum sq_head sq_head_scan(const char *p, size_t len, size_t *used);
/* The target of a complete head, also after h2o has parsed it; empty: there is none. */
struct sq_bytes sq_head_target(const char *p, size_t len);
/* Makes the bytes a whole head of the same first line and one field that nobody knows: of the same size,
 * as h2o goes on where it has stopped.  False: there is no first line, or no room behind it. */
bool sq_head_blank(char *p, size_t len);
/* Renames its first field of that name, in lower case, to one that nobody knows. */
void sq_head_hide(char *p, size_t len, const char *name);
/* The value of its first field of that name, in lower case, without spaces around; empty: there is
 * none. */
struct sq_bytes sq_head_field(const char *p, size_t len, const char *name);

#endif
