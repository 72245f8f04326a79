/* Deeds at the admin endpoint: docs/view.md, "Deeds".
 *
 *   admin thread: request -> request.c -> callers.c -> sq_deed_ask() ~~> worker, slice by slice
 *   worker: answer <- answer.c <- sq_deed.done()
 *
 * Few run at a time, and dead letters are published again at a bounded rate. */
#ifndef SQ_BROKER_FRONT_DEEDS_PAGES_H
#define SQ_BROKER_FRONT_DEEDS_PAGES_H

struct sq_admin_pages;
struct sq_callers;
struct sq_deed_pages;

/* 'callers', which outlives the pages, knows who asks. */
struct sq_deed_pages *sq_deed_pages_new(struct sq_callers *);
/* The pages for the endpoint's configuration; as long as the object. */
const struct sq_admin_pages *sq_deed_pages_admin(const struct sq_deed_pages *);
/* Frees the object, after the endpoint has stopped; nulls the pointer, which may be NULL. */
void sq_deed_pages_free(struct sq_deed_pages **);

#endif
