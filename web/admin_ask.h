/* Requests that the program answers itself, in its own time: those of the admin endpoint below a
 * path of its choice.
 *
 *   admin thread --asked()--> program ... any thread --sq_admin_answer()--> admin thread
 *
 * The program answers each ask once.  A client that waits for longer than SQ_ADMIN_ASK_MS gets 503
 * from the endpoint, and the late answer is dropped, as it is when the client has gone.
 *
 * The endpoint refuses what no program wants: methods that a page does not take, bodies that are no
 * JSON, several Hosts, and requests without a credential that a browser sends for another site's
 * page (web/admin_check.h). */
#ifndef SQ_WEB_ADMIN_ASK_H
#define SQ_WEB_ADMIN_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/msg.h"

/* The header of an ask that one program's endpoint has sent on to another's. */
#define SQ_ADMIN_PASSED "sqmqos-hop"

enum {
	SQ_ADMIN_ASK_MS = 1000,
	SQ_ADMIN_BODY_MAX = 16 << 10, /* a longer one is answered with 413 */
};

/* A request; valid until it is answered.  The texts are the ask's own, and UTF-8 is not checked. */
struct sq_admin_ask {
	const char *method;    /* "GET", "HEAD", "POST", "DELETE" */
	const char *path;      /* normalized: "/v1/view" */
	const char *query;     /* behind the '?', as it came; "" */
	const char *host;      /* the header; "" */
	struct sq_bytes body;  /* of a POST, whose content type is JSON's; else empty */
	struct sq_bytes token; /* value of the header that has a credential; empty: none */
	bool loopback;         /* the client's address is 127.0.0.1 or ::1 */
	bool passed;           /* it has SQ_ADMIN_PASSED */
};

/* A header of an answer; both texts are static, the name in small letters. */
struct sq_admin_header {
	const char *name, *value;
};

/* An answer: good with a status below 400, else a problem, of which 'body' or 'detail' is set.  'detail'
 * is static, or the answer's caller keeps it until sq_admin_answer() returns. */
struct sq_admin_answer {
	unsigned status;
	struct sq_buf body; /* of a good one, or a problem that is written already; taken over */
	const char *type;   /* of the body, static; NULL: "application/json" */
	const char *detail; /* of a problem: what is wrong, for people */
	unsigned retry_after_s; /* 0: no such header */
	/* More headers, static, one without a name behind the last; NULL: none.  Without a
	 * cache-control there is "no-store". */
	const struct sq_admin_header *headers;
};

struct sq_admin_pages {
	/* How the paths begin: "/v1/".  Of several that a path begins with, the longest has it. */
	const char *below;
	/* Methods that they take, "GET, HEAD, POST"; others are answered with 405. */
	const char *methods;
	/* A request has come.  Thread: admin; does not block. */
	void (*asked)(void *owner, struct sq_admin_ask *);
	void *owner;
};

/* Has 'run' called with the ask on the admin thread, for work that takes longer than a loop should
 * stand.  Thread: any; not after the answer, and again at the earliest within 'run'. */
void
sq_admin_continue(struct sq_admin_ask *, void (*run)(struct sq_admin_ask *, void *arg), void *arg);
/* Answers, once.  The ask and its texts are the endpoint's again.  Thread: any. */
void sq_admin_answer(struct sq_admin_ask *, struct sq_admin_answer *);

#endif
