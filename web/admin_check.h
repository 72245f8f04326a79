/* What each request for a page of an admin endpoint must be, before the program sees it.
 *
 * A web page of anywhere can have its reader's browser send requests to the reader's loopback, with
 * which the program lets in who has no credential.  So a request without one that a browser says is
 * another site's is refused; and one that changes something needs a content type, or a method, that
 * a browser asks the endpoint's permission for, which it never has (the Fetch standard's preflight).
 *
 * Pure.  Thread: admin, within the handler. */
#ifndef SQ_WEB_ADMIN_CHECK_H
#define SQ_WEB_ADMIN_CHECK_H

#include <h2o.h>

/* The header of a request that has a credential; NULL: none. */
const h2o_iovec_t *sq_admin_credential(const h2o_req_t *);
/* Judges a request; 'methods' are those that the page takes, "GET, HEAD".  200, or the status of the
 * answer with a static text in '*why'. */
unsigned sq_admin_check(const h2o_req_t *, const char *methods, const char **why);

#endif
