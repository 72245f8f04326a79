/* Since when each stream of an HTTP/2 connection does what must not last: its request comes, or its
 * complete answer goes.  Pure; from one look to the next. */
#ifndef SQ_BROKER_FRONT_DOOR_AGES_H
#define SQ_BROKER_FRONT_DOOR_AGES_H

#include <stdbool.h>
#include <stdint.h>

struct sq_age {
	uint32_t stream;
	bool going; /* its answer; else its request comes */
	uint64_t since_ms;
};

/* Starts zeroed. */
struct sq_ages {
	struct sq_age *v; /* by stream; NULL: there are none */
	unsigned n;
};

/* Takes up what there is now, 'n' in any order, which are sorted and whose times are set: a stream that
 * did the same at the last look has done it since. */
void sq_ages_look(struct sq_ages *, struct sq_age *now, unsigned n, uint64_t now_ms);
/* The stream that has done it for longest; zeros: none does. */
struct sq_age sq_ages_oldest(const struct sq_ages *, bool going);
void sq_ages_fini(struct sq_ages *);

#endif
