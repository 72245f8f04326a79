/* libcurl, loaded when it is needed: a program that has nobody to call has none of its pages.  For
 * the sources of net/curl alone: others call its clients. */
#ifndef SQ_NET_CURL_LIBRARY_H
#define SQ_NET_CURL_LIBRARY_H

#include <curl/curl.h>

#include "core/buf.h"

#define SQ_CURL_LIBRARY "libcurl.so.4"

/* X(name): curl_NAME, of the same type.  Those that take options have no checks of their types: a
 * number is a long. */
#define SQ_CURL_CALLS(X) \
	X(global_init) \
	X(free) \
	X(easy_init) \
	X(easy_reset) \
	X(easy_setopt) \
	X(easy_getinfo) \
	X(easy_perform) \
	X(easy_pause) \
	X(easy_nextheader) \
	X(easy_strerror) \
	X(easy_cleanup) \
	X(slist_append) \
	X(slist_free_all) \
	X(multi_init) \
	X(multi_setopt) \
	X(multi_add_handle) \
	X(multi_remove_handle) \
	X(multi_perform) \
	X(multi_poll) \
	X(multi_wakeup) \
	X(multi_info_read) \
	X(multi_strerror) \
	X(multi_cleanup) \
	X(url) \
	X(url_set) \
	X(url_get) \
	X(url_strerror) \
	X(url_cleanup)

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt
struct sq_curl {
#define SQ_CURL_MEMBER(name) __typeof__(&curl_##name) name;
	SQ_CURL_CALLS(SQ_CURL_MEMBER)
#undef SQ_CURL_MEMBER
};

/* Loads and initialises it at the first call, for good.  NULL with a line in 'err'.  Thread: any. */
const struct sq_curl *sq_curl_load(struct sq_buf *err);

#endif
