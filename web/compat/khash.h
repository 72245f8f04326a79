/* Stand-in for the khash.h that Debian's libh2o-dev lacks, though its h2o/http2_internal.h includes
 * it.  It suffices to compile that header, which has the layout of a connection, and to walk over
 * the connection's table of streams; lookups by key are missing. */
#ifndef SQ_CORE_COMPAT_KHASH_H
#define SQ_CORE_COMPAT_KHASH_H

#include <stdint.h>

typedef unsigned khiter_t;

#define khash_t(name) struct kh_##name
#define KHASH_MAP_INIT_INT64(name, type) \
	struct kh_##name { \
		khiter_t n_buckets, size, n_occupied, upper_bound; \
		uint32_t *flags; /* two bits each: empty, deleted */ \
		uint64_t *keys; \
		type *vals; \
	};
#define kh_get(name, h, key) ((void)(key), kh_end(h))
#define kh_end(h) ((h)->n_buckets)
#define kh_exist(h, i) (((h)->flags[(i) >> 4] >> (((i)&15U) << 1) & 3) == 0)
#define kh_val(h, i) ((h)->vals[i])

#endif
