/* The pages of the broker's view at the admin endpoint: docs/view.md.
 *
 *   admin thread: request -> callers.c -> query.c -> sq_view_ask() ~~> workers, slice by slice
 *   admin thread: answer <- json.c <~~ sq_view_page.done()
 *
 * Nothing here blocks: a credential may be judged by another thread (broker/auth), and a page comes
 * from the workers. */
#ifndef SQ_BROKER_FRONT_VIEW_PAGES_H
#define SQ_BROKER_FRONT_VIEW_PAGES_H

struct sq_callers;
struct sq_pages;

/* See broker/front/access/pages.h; 'callers' outlive the pages. */
struct sq_pages *sq_view_pages_new(struct sq_callers *callers);

#endif
