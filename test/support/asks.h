/* Requests of sq_out for tests, each of which can be waited for. */
#ifndef SQ_TEST_SUPPORT_ASKS_H
#define SQ_TEST_SUPPORT_ASKS_H

#include <semaphore.h>

#include "net/curl/out.h"

struct ask {
	struct sq_out_request req;
	char url[300];
	sem_t done;
	unsigned n_done;
};

/* Makes a POST of "hello" with a minute's time, and 64 KiB of answer; 'url' is a format. */
void ask_init(struct ask *, const struct sq_out_way *, const char *url, ...)
    __attribute__((format(printf, 3, 4)));
/* Sends it, and waits for its end. */
enum sq_out_end ask(struct sq_out *, struct ask *);
enum sq_out_end ask_wait(struct ask *);
/* Waits a minute at most until it is so; false: it is not. */
bool await(bool (*is)(void *), void *arg);
/* The end of a request of that URL, made and freed here. */
enum sq_out_end ask_once(struct sq_out *, const struct sq_out_way *, const char *url);
void ask_fini(struct ask *);

#endif
