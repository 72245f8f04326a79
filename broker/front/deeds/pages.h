/* Deeds at the admin endpoint: docs/view.md, "Deeds".
 *
 *   admin thread: request -> request.c -> callers.c -> sq_deed_ask() ~~> worker, slice by slice
 *   worker: answer <- answer.c <- sq_deed.done()
 *
 * Few run at a time, and dead letters are published again at a bounded rate. */
#ifndef SQ_BROKER_FRONT_DEEDS_PAGES_H
#define SQ_BROKER_FRONT_DEEDS_PAGES_H

struct sq_callers;
struct sq_deed_gate;
struct sq_pages;

/* See broker/front/access/pages.h; 'callers' outlive the pages, and so does 'redrives', by which all who
 * have dead letters published again keep to one rate. */
struct sq_pages *sq_deed_pages_new(struct sq_callers *callers, struct sq_deed_gate *redrives);

#endif
