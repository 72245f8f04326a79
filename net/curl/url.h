/* The parts of a URL, by libcurl. */
#ifndef SQ_NET_CURL_URL_H
#define SQ_NET_CURL_URL_H

#include "core/buf.h"
#include "core/err.h"

/* Parts; NULL: it has none. */
struct sq_url {
	char *scheme, *host; /* an address of IPv6 in brackets */
	char *port;
	char *user, *password; /* decoded */
	char *path;
};

/* Takes a URL of any scheme apart.  SQ_EINVAL: it is none.  SQ_EIO, with a line in 'err': libcurl is not
 * there.  Both leave no parts. */
int sq_url_parse(struct sq_url *, const char *text, struct sq_buf *err) SQ_MUST_CHECK;
/* The same for the address of a server of HTTP, perhaps with a path: of http or https, with a host, and
 * SQ_EINVAL with user information, a query or a fragment. */
int sq_url_parse_server(struct sq_url *, const char *text, struct sq_buf *err) SQ_MUST_CHECK;
/* Frees the parts, and wipes the password. */
void sq_url_fini(struct sq_url *);

#endif
