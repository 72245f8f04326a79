/* Stand-in for the khash.h that Debian's libh2o-dev leaves out although its
 * h2o/http2_internal.h includes it.  Enough to compile that header and to see
 * the layout of a connection; its table of streams stays closed. */
#ifndef SQ_CORE_COMPAT_KHASH_H
#define SQ_CORE_COMPAT_KHASH_H

typedef unsigned khiter_t;

#define khash_t(name) struct kh_##name
#define KHASH_MAP_INIT_INT64(name, type) struct kh_##name;
#define kh_get(name, h, key) ((void)(h), (void)(key), (khiter_t)0)
#define kh_end(h) ((khiter_t)0)
#define kh_val(h, i) NULL

#endif
