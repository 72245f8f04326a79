/* The console's files at the admin endpoint, below /console/: docs/console.md.
 *
 * They are the same for everybody and say nothing of the broker, so they ask nobody for a credential;
 * what the page then asks for, it asks as whoever looks at it (broker/front/view).  The answers'
 * headers keep the page to itself: it loads nothing from elsewhere and stands in no frame. */
#ifndef SQ_BROKER_FRONT_CONSOLE_PAGES_H
#define SQ_BROKER_FRONT_CONSOLE_PAGES_H

struct sq_admin_pages;

/* For the endpoint's configuration; static. */
extern const struct sq_admin_pages sq_console_pages;

#endif
