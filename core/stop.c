#include "core/stop.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"

struct sq_stop {
	struct sq_stop_cfg cfg;
	sigset_t set;
	pthread_t thread;
	atomic_bool done;
};

void
sq_stop_now(const char *scope, int code, const char *why)
{
	struct pollfd log = {STDERR_FILENO, POLLOUT, 0};

	/* A log that nobody reads does not hold up the end. */
	if (poll(&log, 1, 0) > 0)
		SQ_WARN(scope, "%s: ended at once, what had no answer yet gets none", why);
	_exit(code);
}

static _Noreturn void
stop_cut(const struct sq_stop *s, const char *why)
{
	sq_stop_now(s->cfg.scope, SQ_EXIT_CUT, why);
}

/* The next signal; -1 when the time 'until_ms' is over, 0: never. */
static int
stop_wait(const struct sq_stop *s, uint64_t until_ms)
{
	struct timespec left;
	uint64_t now_ms;
	int sig;

	do {
		now_ms = sq_clock_ms();
		if (until_ms == 0) {
			sig = sigwaitinfo(&s->set, NULL);
			continue;
		}
		if (now_ms >= until_ms)
			return -1;
		left.tv_sec = (time_t)((until_ms - now_ms) / 1000);
		left.tv_nsec = (long)((until_ms - now_ms) % 1000) * 1000000;
		sig = sigtimedwait(&s->set, NULL, &left);
	} while (sig < 0); /* too early, or interrupted */
	return sig;
}

static bool
stop_also(const struct sq_stop *s, int sig)
{
	return sig == s->cfg.also[0] || sig == s->cfg.also[1];
}

static void *
stop_main(void *arg)
{
	const struct sq_stop *s = arg;
	uint64_t until_ms = 0;
	int sig;

	while ((sig = stop_wait(s, until_ms)) > 0 && !atomic_load(&s->done)) {
		if (!stop_also(s, sig) && until_ms != 0)
			stop_cut(s, "a second signal");
		if (!stop_also(s, sig))
			until_ms = sq_clock_ms() + s->cfg.within_ms;
		s->cfg.told(s->cfg.owner, sig);
	}
	if (sig < 0 && !atomic_load(&s->done))
		stop_cut(s, "the time for an orderly end is over");
	return NULL;
}

struct sq_stop *
sq_stop_start(const struct sq_stop_cfg *cfg)
{
	struct sq_stop *s = sq_xcalloc(1, sizeof *s);

	s->cfg = *cfg;
	sigemptyset(&s->set);
	sigaddset(&s->set, SIGTERM);
	sigaddset(&s->set, SIGINT);
	for (size_t i = 0; i < SQ_ARRAY_LEN(cfg->also); i++)
		if (cfg->also[i] != 0)
			sigaddset(&s->set, cfg->also[i]);
	pthread_sigmask(SIG_BLOCK, &s->set, NULL);
	sq_thread_start(&s->thread, stop_main, s);
	return s;
}

void
sq_stop_done(struct sq_stop **sp)
{
	struct sq_stop *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	atomic_store(&s->done, true);
	pthread_kill(s->thread, SIGINT); /* of the set: blocked, and what it waits for */
	pthread_join(s->thread, NULL);
	free(s);
}
