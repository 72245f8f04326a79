/* The pages of the broker's view at the admin endpoint: docs/view.md.
 *
 *   admin thread: request -> access.c -> query.c -> sq_view_ask() ~~> workers, slice by slice
 *   admin thread: answer <- json.c <~~ sq_view_page.done()
 *
 * Nothing here blocks: a credential may be judged by another thread (broker/auth), and a page comes
 * from the workers. */
#ifndef SQ_BROKER_FRONT_VIEW_PAGES_H
#define SQ_BROKER_FRONT_VIEW_PAGES_H

#include "core/metrics.h"

struct sq_admin_pages;
struct sq_auth;
struct sq_broker;
struct sq_view_pages;

/* 'auth' outlives the pages; NULL: there are no credentials. */
struct sq_view_pages *sq_view_pages_new(struct sq_auth *auth, const struct sq_metrics *);
/* The pages for the endpoint's configuration; as long as the object. */
const struct sq_admin_pages *sq_view_pages_admin(const struct sq_view_pages *);
/* Shows this broker from now on; until then requests are answered with 503.  The broker lives until
 * the endpoint has stopped.  Thread: any. */
void sq_view_pages_serve(struct sq_view_pages *, struct sq_broker *);
/* Frees the object, after the endpoint has stopped; nulls the pointer, which may be NULL. */
void sq_view_pages_free(struct sq_view_pages **);

#endif
