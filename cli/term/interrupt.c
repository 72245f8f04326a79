/* Signals that are noted; see cli/term/interrupt.h. */
#include "cli/term/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/mem.h"

static const int signals[] = {SIGINT, SIGTERM, SIGWINCH};

static volatile sig_atomic_t ended, resized;
static const char *volatile last_words;

static void
interrupt_note(int sig)
{
	if (sig == SIGWINCH) {
		resized = 1;
		return;
	}
	if (ended) {
		const char *last = last_words;

		if (last != NULL && write(STDOUT_FILENO, last, strlen(last)) < 0)
			_exit(128 + sig);
		_exit(128 + sig);
	}
	ended = 1;
}

static void
interrupt_note_it(int sig)
{
	struct sigaction act = {.sa_handler = interrupt_note};

	(void)sigaction(sig, &act, NULL);
}

void
sq_interrupt_watch(void)
{
	interrupt_note_it(SIGINT);
	interrupt_note_it(SIGTERM);
}

void
sq_interrupt_watch_screen(const char *last)
{
	last_words = last;
	sq_interrupt_watch();
	interrupt_note_it(SIGWINCH);
}

bool
sq_interrupted(void)
{
	return ended != 0;
}

bool
sq_resized(void)
{
	bool was = resized != 0;

	resized = 0;
	return was;
}

int
sq_interrupt_poll(struct pollfd *fds, nfds_t n, uint64_t timeout_ms)
{
	struct timespec t = {(time_t)(timeout_ms / 1000), (long)(timeout_ms % 1000) * 1000000};
	sigset_t held, before;
	int rc = -1;

	(void)sigemptyset(&held);
	for (size_t i = 0; i < SQ_ARRAY_LEN(signals); i++)
		(void)sigaddset(&held, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &held, &before);
	errno = EINTR;
	if (!ended && !resized)
		rc = ppoll(fds, n, &t, &before);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return rc;
}
