/* The head of an HTTP/1.1 request, looked at before h2o parses it, which takes the first of
 * two Content-Length and prefers Transfer-Encoding to one: what lets a request hide in
 * another's body (RFC 9112, 6.3 and 11.2).  Pure.
 *
 * It agrees with h2o's parser on where a head ends: lines end in LF or CR LF, and one empty
 * line may come before the first. */
#ifndef SQ_BROKER_FRONT_LINK_HEAD_H
#define SQ_BROKER_FRONT_LINK_HEAD_H

#include <stddef.h>

enum sq_head {
	SQ_HEAD_MORE, /* it is not complete */
	SQ_HEAD_GOOD, /* h2o judges the rest */
	SQ_HEAD_BAD,  /* the length of its body is in doubt, or a line is folded */
	SQ_HEAD_ELSE, /* its first line is none of HTTP/1's; '*used' is nothing */
};

/* Looks at the head at the beginning of 'p'; '*used': its bytes, if it is whole. */
enum sq_head sq_head_scan(const char *p, size_t len, size_t *used);

#endif
