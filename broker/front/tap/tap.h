/* Taps at the admin endpoint: POST /v1/tap opens one, GET /v1/tap/ID takes what has passed since,
 * DELETE /v1/tap/ID ends it (docs/view.md).
 *
 * Nothing here blocks, and nothing waits: who finds nothing asks again. */
#ifndef SQ_BROKER_FRONT_TAP_TAP_H
#define SQ_BROKER_FRONT_TAP_TAP_H

struct sq_callers;
struct sq_pages;

/* See broker/front/access/pages.h; 'callers' outlive the pages. */
struct sq_pages *sq_tap_pages_new(struct sq_callers *callers);

#endif
