/* Requests that the program answers itself, in its own time: those of the admin endpoint below a
 * path of its choice.
 *
 *   admin thread --asked()--> program ... any thread --sq_admin_answer()--> admin thread
 *
 * The program answers each ask once.  A client that waits for longer than SQ_ADMIN_ASK_MS gets 503
 * from the endpoint, and the late answer is dropped, as it is when the client has gone. */
#ifndef SQ_WEB_ADMIN_ASK_H
#define SQ_WEB_ADMIN_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/msg.h"

enum { SQ_ADMIN_ASK_MS = 1000 };

/* A request; valid until it is answered.  The texts are the ask's own, and UTF-8 is not checked. */
struct sq_admin_ask {
	const char *path;      /* normalized: "/v1/view" */
	const char *query;     /* behind the '?', as it came; "" */
	const char *host;      /* the header; "" */
	struct sq_bytes token; /* value of the header that has a credential; empty: none */
	bool loopback;         /* the client's address is 127.0.0.1 or ::1 */
};

/* An answer.  'type' and 'detail' are static, or the answer's caller keeps them until
 * sq_admin_answer() returns. */
struct sq_admin_answer {
	unsigned status;
	struct sq_buf body;     /* of a good one, JSON; taken over */
	const char *detail;     /* of a problem: what is wrong, for people */
	unsigned retry_after_s; /* 0: no such header */
};

struct sq_admin_pages {
	const char *below; /* the paths: "/v1/"; they are GET or HEAD */
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
