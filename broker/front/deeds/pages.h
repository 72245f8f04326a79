/* Deeds at the admin endpoint: docs/view.md, "Deeds".
 *
 *   admin thread: request -> request.c -> callers.c -> sq_deed_ask() ~~> worker, slice by slice
 *   worker: answer <- answer.c <- sq_deed.done()
 *
 * Few run at a time, and dead letters are published again at a bounded rate. */
#ifndef SQ_BROKER_FRONT_DEEDS_PAGES_H
#define SQ_BROKER_FRONT_DEEDS_PAGES_H

struct sq_callers;
struct sq_pages;

/* See broker/front/access/pages.h; 'callers' outlive the pages. */
struct sq_pages *sq_deed_pages_new(struct sq_callers *callers);

#endif
