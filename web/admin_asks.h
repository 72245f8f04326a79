/* The asks of an admin endpoint that have no answer yet: see web/admin_ask.h.  Thread: admin. */
#ifndef SQ_WEB_ADMIN_ASKS_H
#define SQ_WEB_ADMIN_ASKS_H

#include <h2o.h>
#include <stdint.h>

#include "core/list.h"
#include "web/admin_ask.h"

struct sq_admin_asks {
	h2o_multithread_receiver_t answers; /* any thread may send to it */
	struct sq_list open;                /* struct admin_asked, the oldest first */
	unsigned n;
	const struct sq_admin_pages *const *pages;
};

/* 'pages', see struct sq_admin_cfg, outlives it. */
void sq_admin_asks_open(
    struct sq_admin_asks *, h2o_multithread_queue_t *, const struct sq_admin_pages *const *pages);
/* No ask is open. */
void sq_admin_asks_close(struct sq_admin_asks *, h2o_multithread_queue_t *);
/* The pages that answer that path; NULL: there are none. */
const struct sq_admin_pages *sq_admin_asks_find(const struct sq_admin_asks *, const h2o_req_t *);
/* Hands the request to these pages, or answers it where it is none for them. */
void sq_admin_asks_take(struct sq_admin_asks *, const struct sq_admin_pages *, h2o_req_t *);
/* Answers those that wait for too long; returns the time in ms until there is more to do. */
int32_t sq_admin_asks_sweep(struct sq_admin_asks *, uint64_t now_ms);

#endif
