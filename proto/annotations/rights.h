/* What sqmqos.io/subscribe lets the pod's clients subscribe to by themselves: its keys
 * "strict" and "allow". */
#ifndef SQ_PROTO_ANNOTATIONS_RIGHTS_H
#define SQ_PROTO_ANNOTATIONS_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>

enum { SQ_ALLOW_MAX = 512 };

struct sq_subscribe_rights {
	bool strict;  /* nothing but what is declared, and what one of these covers */
	char **allow; /* plain filters: no $share, no $tag */
	size_t n;
};

void sq_subscribe_rights_free(struct sq_subscribe_rights *);

#endif
