/* The program's one sq_out, for all that has requests that leave; made when the first one needs it.
 * Thread: any.  Locks: its own. */
#ifndef SQ_NET_CURL_SHARED_H
#define SQ_NET_CURL_SHARED_H

#include "net/curl/out.h"

struct sq_out_shared;

/* Copies the settings.  Neither thread nor libcurl yet. */
struct sq_out_shared *sq_out_shared_new(const struct sq_out_cfg *);
/* The sq_out, from the first call on the same; NULL with a line in 'err': libcurl is not there, which
 * the next call tries again. */
struct sq_out *sq_out_shared_get(struct sq_out_shared *, struct sq_buf *err);
/* What is open; zeros before the first request. */
struct sq_out_counts sq_out_shared_count(struct sq_out_shared *);
/* After all its users have ended. */
void sq_out_shared_free(struct sq_out_shared **);

#endif
