/* See support/asks.h. */
#include "asks.h"

#include <criterion/criterion.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PATIENCE_S = 60 };

static void
ask_on_done(struct sq_out_request *req)
{
	struct ask *a = SQ_CONTAINER_OF(req, struct ask, req);

	a->n_done++;
	sem_post(&a->done);
}

void
ask_init(struct ask *a, const struct sq_out_way *way, const char *url, ...)
{
	va_list args;

	memset(a, 0, sizeof *a);
	va_start(args, url);
	(void)vsnprintf(a->url, sizeof a->url, url, args);
	va_end(args);
	sem_init(&a->done, 0, 0);
	a->req.url = a->url;
	a->req.method = "POST";
	a->req.body = sq_bytes_of("hello");
	a->req.way = way;
	a->req.timeout_ms = PATIENCE_S * 1000;
	a->req.max_answer = 65536;
	a->req.done = ask_on_done;
}

enum sq_out_end
ask_wait(struct ask *a)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	cr_assert_eq(sem_timedwait(&a->done, &until), 0, "%s: no end", a->url);
	return a->req.end;
}

enum sq_out_end
ask(struct sq_out *out, struct ask *a)
{
	sq_out_send(out, &a->req);
	return ask_wait(a);
}

enum sq_out_end
ask_once(struct sq_out *out, const struct sq_out_way *way, const char *url)
{
	struct ask a;
	enum sq_out_end end;

	ask_init(&a, way, "%s", url);
	end = ask(out, &a);
	ask_fini(&a);
	return end;
}

bool
await(bool (*is)(void *), void *arg)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	for (unsigned i = 0; i < PATIENCE_S * 500; i++) {
		if (is(arg))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

void
ask_fini(struct ask *a)
{
	sq_out_request_fini(&a->req);
	sem_destroy(&a->done);
}
