/* A small HTTP/1.1 server on a thread of its own, with real TLS: what answers is a
 * function of the test.  One connection at a time. */
#ifndef SQ_TEST_SUPPORT_HTTPS_SERVER_H
#define SQ_TEST_SUPPORT_HTTPS_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

struct https_request {
	char method[16], path[256];
	const char *head; /* all of it, from the request line on; NUL-terminated */
	const char *body;
	size_t body_len;
	unsigned connection; /* which, from 1 */
};

struct https_reply {
	unsigned status;     /* 200 unless changed */
	const char *headers; /* lines that end with CRLF, or NULL */
	struct sq_buf body;
	bool silent; /* nothing is answered, the connection stays */
};

struct https_cfg {
	const char *dir;  /* where its certificate is, see https_certificate() */
	const char *host; /* "127.0.0.1" unless set; "::1" */
	int max_version;  /* of TLS, as TLS1_2_VERSION; 0: any */
	bool clear;
	bool asks_client; /* for a certificate, and takes cert.pem alone */
	/* On the server's thread. */
	void (*handle)(void *owner, const struct https_request *, struct https_reply *);
	void *owner;
};

struct https_server;

/* Makes cert.pem, for 127.0.0.1, ::1 and localhost, and key.pem in 'dir'. */
void https_certificate(const char *dir);
struct https_server *https_start(const struct https_cfg *);
/* "https://127.0.0.1:PORT" */
const char *https_url(const struct https_server *);
unsigned https_port(const struct https_server *);
void https_stop(struct https_server **);

#endif
