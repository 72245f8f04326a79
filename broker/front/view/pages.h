/* The pages of the broker's view at the admin endpoint: docs/view.md.
 *
 *   admin thread: request -> callers.c -> query.c -> sq_view_ask() ~~> workers, slice by slice
 *   admin thread: answer <- json.c <~~ sq_view_page.done()
 *
 * Nothing here blocks: a credential may be judged by another thread (broker/auth), and a page comes
 * from the workers. */
#ifndef SQ_BROKER_FRONT_VIEW_PAGES_H
#define SQ_BROKER_FRONT_VIEW_PAGES_H

struct sq_admin_pages;
struct sq_callers;
struct sq_view_pages;

/* 'callers', which outlives the pages, knows who asks (broker/front/access). */
struct sq_view_pages *sq_view_pages_new(struct sq_callers *callers);
/* The pages for the endpoint's configuration; as long as the object. */
const struct sq_admin_pages *sq_view_pages_admin(const struct sq_view_pages *);
/* Frees the object, after the endpoint has stopped; nulls the pointer, which may be NULL. */
void sq_view_pages_free(struct sq_view_pages **);

#endif
