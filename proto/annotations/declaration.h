/* What sqmqos.io/subscribe declares. */
#ifndef SQ_PROTO_ANNOTATIONS_DECLARATION_H
#define SQ_PROTO_ANNOTATIONS_DECLARATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/annotations/problems.h"

enum {
	SQ_DECLARATIONS_MAX = 512,
	SQ_GROUP_MAX = 255, /* bytes of a group's name */
};

/* Options of a queue that an entry names itself. */
enum {
	SQ_NAMED_DURABLE = 1,
	SQ_NAMED_EXPIRY = 2,
	SQ_NAMED_MAX_LENGTH = 4,
	SQ_NAMED_OVERFLOW = 8,
	SQ_NAMED_MAX_ATTEMPTS = 16,
};

/* One entry.  From sq_annotations_check() it has the options that other entries of its
 * group name, too (merge.h). */
struct sq_declaration {
	char *filter;          /* plain; "#" where only a tag was given; "$queue/NAME" of a queue */
	char *tag;             /* NULL: any */
	char *group;           /* NULL: the workload's name; NAME of a queue */
	char *queue;           /* name of the named queue that it joins; NULL: none */
	uint8_t qos;           /* default 1 */
	bool pod;              /* delivery: pod; else group */
	bool durable;          /* default: with delivery group */
	uint8_t overflow;      /* enum sq_overflow of the link */
	uint32_t expiry_s;     /* of the queue, "at once" is 1; 0: not said: the broker's */
	uint32_t max_length;   /* messages; 0: the broker's default */
	uint32_t max_attempts; /* 0: unlimited */
	uint32_t concurrency;  /* unfinished messages of a pod; 0: no limit of its own */
	uint8_t named;         /* SQ_NAMED_...: the options above that the entry names */
	struct sq_position at; /* of the entry within the value */
};

struct sq_declarations {
	struct sq_declaration *v; /* in their order */
	size_t n;
};

/* The text of an overflow, from 1, as an entry names it ("reject-publish", ...). */
const char *sq_overflow_name(uint8_t overflow);
void sq_declarations_free(struct sq_declarations *);

#endif
