/* Taps at the admin endpoint: POST /v1/tap opens one, GET /v1/tap/ID takes what has passed since,
 * DELETE /v1/tap/ID ends it (docs/view.md).
 *
 * Nothing here blocks, and nothing waits: who finds nothing asks again. */
#ifndef SQ_BROKER_FRONT_TAP_TAP_H
#define SQ_BROKER_FRONT_TAP_TAP_H

struct sq_admin_pages;
struct sq_callers;
struct sq_tap_pages;

/* 'callers' outlives the pages. */
struct sq_tap_pages *sq_tap_pages_new(struct sq_callers *callers);
/* The pages for the endpoint's configuration; as long as the object. */
const struct sq_admin_pages *sq_tap_pages_admin(const struct sq_tap_pages *);
/* Frees the object, after the endpoint has stopped; nulls the pointer, which may be NULL. */
void sq_tap_pages_free(struct sq_tap_pages **);

#endif
