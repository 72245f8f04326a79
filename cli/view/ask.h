/* Requests of the command line to whoever answers in HTTP, one at a time, until a signal ends them
 * (cli/term/interrupt.h), and what is said of those that fail. */
#ifndef SQ_CLI_VIEW_ASK_H
#define SQ_CLI_VIEW_ASK_H

#include "net/curl/once.h"

struct sq_ask;

/* 'via': what is in between, for people: "context x of FILE"; NULL: nothing.  The hook of the
 * configuration is its own.  NULL: 'err' has a line. */
struct sq_ask *sq_ask_new(const struct sq_once_cfg *, const char *via, struct sq_buf *err);
/* Nulls the pointer, which may be NULL. */
void sq_ask_free(struct sq_ask **);
/* For headers. */
struct sq_once *sq_ask_once(struct sq_ask *);
/* "Authorization: Bearer", or another header's, in each request. */
int sq_ask_bearer(
    struct sq_ask *, const char *name, const char *token, struct sq_buf *err) SQ_MUST_CHECK;
/* Whether a signal ends requests, as it does at first; false: for what is said at parting. */
void sq_ask_yields(struct sq_ask *, bool);

/* Asks; 'tries' 0: some, between which a signal ends the wait, too.  The answer is good until the next request.  Another end than ANSWERED:
 * 'err' has a line that names the address and the reason. */
enum sq_once_end sq_ask(struct sq_ask *, const struct sq_once_request *,
    const struct sq_once_answer **, struct sq_buf *err);

/* Appends where the request went. */
void sq_ask_say_where(const struct sq_ask *, const char *path, struct sq_buf *err);
enum sq_ask_said {
	SQ_ASK_SAID_NOTHING, /* that is known: the beginning of what it was */
	SQ_ASK_SAID_PROBLEM, /* the detail of a problem, the broker's */
	SQ_ASK_SAID_STATUS,  /* the message of a Status, the API server's in between */
};
/* Appends where it went, the status of the last answer, and what that says of it. */
enum sq_ask_said sq_ask_say_status(const struct sq_ask *, const char *path, struct sq_buf *err);

#endif
