#include "broker/bridge/amqp/line.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/thread.h"

enum {
	FRAMES_A_TURN = 1024, /* then work() has its turn */
	LOOK_MS = 5000,       /* at the latest, for heartbeats */
	STACK = 8 << 20, /* bytes: librabbitmq goes as deep as the tables of a frame are nested */
	CUT_MS = 1000,   /* from the cut of a socket until its line has ended */
};

struct sq_amqp_line {
	struct sq_amqp_peer_cfg cfg;
	struct sq_amqp_line_user user;
	pthread_t thread;
	int wake_fd;
	atomic_bool woken;
	/* The thread's. */
	struct sq_reconnect *reconnect;
	struct sq_amqp_peer *peer;
	size_t url; /* the one that is dialled next */
	struct sq_amqp_wants wants;
	/* Under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int fd;         /* of the connection, for a cut; -1: none */
	bool dialling;  /* the user is not called */
	bool ended;     /* nor is anything of the line touched */
	bool abandoned; /* the thread frees the line */
	bool closing;
	uint64_t until_ms; /* of a line that closes */
};

/* A peer that is silent is what heartbeats are for. */
static const struct sq_reconnect_cfg line_backoff = {
    .backoff_min_ms = 100,
    .backoff_max_ms = 15000,
    .stable_ms = 10000,
    .dial_timeout_ms = 24 * 3600 * 1000,
    .probe_after_ms = 24 * 3600 * 1000,
    .drop_after_ms = 25 * 3600 * 1000,
    .drain_ms = 1,
    .retry_after_max_ms = 1,
};

struct sq_reconnect *
sq_amqp_backoff_new(void)
{
	return sq_reconnect_new(&line_backoff, sq_random_u64(), sq_clock_ms());
}

/* Configuration. */

static char *
line_text(const char *s)
{
	return s != NULL && *s != '\0' ? sq_xstrdup(s) : NULL;
}

void
sq_amqp_peer_cfg_copy(const struct sq_amqp_peer_cfg *from, struct sq_amqp_peer_cfg *out)
{
	*out = *from;
	out->urls = sq_xcalloc(from->n_urls, sizeof *out->urls);
	memcpy(out->urls, from->urls, from->n_urls * sizeof *out->urls);
	out->files = (struct sq_amqp_files){.user = line_text(from->files.user),
	    .password = line_text(from->files.password),
	    .ca = line_text(from->files.ca),
	    .cert = line_text(from->files.cert),
	    .key = line_text(from->files.key)};
	out->user_agent = sq_xstrdup(from->user_agent);
}

void
sq_amqp_peer_cfg_fini(struct sq_amqp_peer_cfg *c)
{
	free(c->urls);
	free(c->files.user);
	free(c->files.password);
	free(c->files.ca);
	free(c->files.cert);
	free(c->files.key);
	free(c->user_agent);
	*c = (struct sq_amqp_peer_cfg){0};
}

/* The connection. */

static void
line_opened(void *arg, int fd)
{
	struct sq_amqp_line *l = arg;

	pthread_mutex_lock(&l->lock);
	l->fd = fd;
	pthread_mutex_unlock(&l->lock);
}

/* Tells the user, with the peer's name before the reason. */
static void
line_tell(struct sq_amqp_line *l, bool up, enum sq_amqp_trouble trouble, const struct sq_buf *why)
{
	struct sq_buf text = {0};
	char *s;

	sq_amqp_url_name(&l->cfg.urls[l->url], &text);
	if (why != NULL)
		sq_buf_printf(
		    &text, ": %.*s", (int)sq_buf_len(why), (const char *)sq_buf_data(why));
	s = sq_buf_take_text(&text);
	l->user.state(l->user.arg, up, trouble, s);
	free(s);
}

/* The connection is over, or none came about. */
static void
line_down(struct sq_amqp_line *l, enum sq_amqp_trouble trouble, const struct sq_buf *why)
{
	if (l->peer != NULL) {
		line_opened(l, -1);
		sq_amqp_peer_free(&l->peer);
		l->user.down(l->user.arg);
	}
	line_tell(l, false, trouble, why);
	(void)sq_reconnect_step(l->reconnect, SQ_RECONNECT_DOWN, sq_clock_ms());
	l->url = (l->url + 1) % l->cfg.n_urls;
}

/* Whether the line is still the user's, after a call that may have taken long. */
static bool
line_is_wanted(struct sq_amqp_line *l, bool dialling)
{
	bool abandoned;

	pthread_mutex_lock(&l->lock);
	l->dialling = dialling;
	abandoned = l->abandoned;
	pthread_mutex_unlock(&l->lock);
	return !abandoned;
}

/* False: the line was abandoned meanwhile. */
static bool
line_dial(struct sq_amqp_line *l)
{
	enum sq_amqp_trouble trouble = SQ_AMQP_UNREACHABLE;
	struct sq_buf why = {0};
	bool wanted;

	(void)line_is_wanted(l, true);
	l->peer = sq_amqp_peer_dial(&l->cfg, &l->cfg.urls[l->url], line_opened, l, &trouble, &why);
	wanted = line_is_wanted(l, false);
	if (wanted && l->peer != NULL && l->user.up(l->user.arg, l->peer, &why) != SQ_OK) {
		line_down(l, sq_amqp_peer_trouble(l->peer), &why);
	} else if (wanted && l->peer != NULL) {
		(void)sq_reconnect_step(l->reconnect, SQ_RECONNECT_UP, sq_clock_ms());
		line_tell(l, true, trouble, NULL);
	} else if (wanted) {
		line_down(l, trouble, &why);
	}
	sq_buf_fini(&why);
	return wanted;
}

/* Takes in what has come, and has the user work. */
static int
line_serve(struct sq_amqp_line *l, struct sq_buf *why)
{
	amqp_frame_t frame;
	int rc = l->wants.hold ? SQ_EAGAIN : SQ_OK;

	for (unsigned n = 0; rc == SQ_OK && n < FRAMES_A_TURN; n++) {
		rc = sq_amqp_peer_next(l->peer, &frame, why);
		if (rc == SQ_OK)
			rc = l->user.frame(l->user.arg, l->peer, &frame, why);
	}
	if (rc == SQ_OK) /* there is more: poll() may not tell of it */
		atomic_store(&l->woken, true);
	if (rc == SQ_OK || rc == SQ_EAGAIN) {
		l->wants = (struct sq_amqp_wants){0};
		rc = l->user.work(l->user.arg, l->peer, &l->wants, why);
	}
	return rc;
}

/* One turn.  False: the line was abandoned. */
static bool
line_turn(struct sq_amqp_line *l, bool closing)
{
	struct sq_buf why = {0};

	if (l->peer == NULL && !closing &&
	    sq_reconnect_step(l->reconnect, SQ_RECONNECT_TICK, sq_clock_ms()) ==
		SQ_RECONNECT_DIAL &&
	    !line_dial(l))
		return false;
	if (l->peer == NULL) {
		l->wants = (struct sq_amqp_wants){0};
		(void)l->user.work(l->user.arg, NULL, &l->wants, &why);
	} else {
		(void)sq_reconnect_step(l->reconnect, SQ_RECONNECT_HEARD, sq_clock_ms());
		if (line_serve(l, &why) != SQ_OK)
			line_down(l, sq_amqp_peer_trouble(l->peer), &why);
	}
	sq_buf_fini(&why);
	return true;
}

/* Waits for the socket, the user or time. */
static void
line_wait(struct sq_amqp_line *l, uint64_t until_ms)
{
	struct pollfd fds[2] = {{.fd = l->wake_fd, .events = POLLIN}, {.fd = -1}};
	uint64_t now_ms = sq_clock_ms(), at_ms = now_ms + LOOK_MS, ignored;

	if (l->peer != NULL) {
		fds[1].fd = sq_amqp_peer_fd(l->peer);
		fds[1].events = (short)((l->wants.hold ? 0 : POLLIN) |
		    (l->wants.write ? POLLOUT : 0));
		if (l->cfg.heartbeat_s > 0 && at_ms > now_ms + l->cfg.heartbeat_s * 500)
			at_ms = now_ms + l->cfg.heartbeat_s * 500;
	} else if (sq_reconnect_deadline(l->reconnect) < at_ms) {
		at_ms = sq_reconnect_deadline(l->reconnect);
	}
	if (l->wants.at_ms != 0 && l->wants.at_ms < at_ms)
		at_ms = l->wants.at_ms;
	if (until_ms < at_ms)
		at_ms = until_ms;
	if (fds[1].events == 0)
		fds[1].fd = -1; /* a hang-up would wake it for ever */
	if (!atomic_load(&l->woken) && at_ms > now_ms)
		(void)poll(fds, 2, (int)(at_ms - now_ms));
	if (atomic_exchange(&l->woken, false) || fds[0].revents != 0)
		(void)!read(l->wake_fd, &ignored, sizeof ignored);
}

/* Life. */

static void
line_free(struct sq_amqp_line *l)
{
	sq_amqp_peer_free(&l->peer);
	sq_reconnect_free(&l->reconnect);
	sq_amqp_peer_cfg_fini(&l->cfg);
	close(l->wake_fd);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* Whether it is to end, and until when it has time at most. */
static bool
line_closing(struct sq_amqp_line *l, uint64_t *until_ms)
{
	bool closing;

	pthread_mutex_lock(&l->lock);
	closing = l->closing;
	*until_ms = closing ? l->until_ms : UINT64_MAX;
	pthread_mutex_unlock(&l->lock);
	return closing;
}

static void *
line_run(void *arg)
{
	struct sq_amqp_line *l = arg;
	uint64_t until_ms = UINT64_MAX;
	bool closing = false;

	while (!closing || !(l->wants.idle || sq_clock_ms() >= until_ms)) {
		if (!line_turn(l, closing)) {
			line_free(l);
			return NULL;
		}
		if (!closing || !l->wants.idle)
			line_wait(l, until_ms);
		closing = line_closing(l, &until_ms);
	}
	if (l->peer != NULL) {
		if (l->wants.idle)
			sq_amqp_peer_bye(l->peer);
		line_opened(l, -1);
		sq_amqp_peer_free(&l->peer);
		l->user.down(l->user.arg);
	}
	pthread_mutex_lock(&l->lock);
	l->ended = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

struct sq_amqp_line *
sq_amqp_line_new(
    const struct sq_amqp_peer_cfg *cfg, size_t first, const struct sq_amqp_line_user *user)
{
	struct sq_amqp_line *l = sq_xcalloc(1, sizeof *l);

	assert(cfg->n_urls > 0);
	sq_amqp_peer_cfg_copy(cfg, &l->cfg);
	l->user = *user;
	l->url = first % cfg->n_urls;
	l->fd = -1;
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0)
		abort();
	pthread_mutex_init(&l->lock, NULL);
	sq_cond_init(&l->changed);
	l->reconnect = sq_amqp_backoff_new();
	sq_thread_start_deep(&l->thread, STACK, line_run, l);
	return l;
}

void
sq_amqp_line_wake(struct sq_amqp_line *l)
{
	static const uint64_t one = 1;

	if (!atomic_exchange(&l->woken, true))
		(void)!write(l->wake_fd, &one, sizeof one);
}

/* The end of several. */

struct closer {
	size_t n;
	uint64_t until_ms;
	void (*ended)(void *arg);
	void *arg;
	struct sq_amqp_line *lines[SQ_AMQP_LINES_MAX];
};

/* Waits until the line has ended.  False: it has not by then. */
static bool
closer_wait(struct sq_amqp_line *l, uint64_t until_ms)
{
	bool in_time = true;

	while (!l->ended && in_time)
		in_time = sq_cond_wait_until(&l->changed, &l->lock, until_ms);
	return l->ended;
}

/* Ends a line that has had its time: cuts what it waits for, and leaves it to its thread where that is
 * with a name or a handshake that does not come. */
static void
closer_end(struct sq_amqp_line *l, uint64_t until_ms)
{
	unsigned cuts = 0;
	bool ended;

	pthread_mutex_lock(&l->lock);
	ended = closer_wait(l, until_ms);
	while (!ended && (cuts++ == 0 || !l->dialling)) {
		if (l->fd >= 0) /* also one that has connected meanwhile */
			(void)shutdown(l->fd, SHUT_RDWR);
		ended = closer_wait(l, sq_clock_ms() + CUT_MS);
	}
	if (!ended) {
		(void)pthread_detach(l->thread);
		l->abandoned = true;
	}
	pthread_mutex_unlock(&l->lock);
	if (!ended)
		return;
	pthread_join(l->thread, NULL);
	line_free(l);
}

static void *
closer_run(void *arg)
{
	struct closer *c = arg;

	for (size_t i = 0; i < c->n; i++)
		closer_end(c->lines[i], c->until_ms);
	c->ended(c->arg);
	free(c);
	return NULL;
}

void
sq_amqp_lines_close(struct sq_amqp_line *const *lines, size_t n, unsigned within_ms,
    void (*ended)(void *arg), void *arg)
{
	struct closer *c = sq_xcalloc(1, sizeof *c);
	pthread_t thread;

	assert(n <= SQ_AMQP_LINES_MAX);
	*c = (struct closer){
	    .n = n, .until_ms = sq_clock_ms() + within_ms, .ended = ended, .arg = arg};
	for (size_t i = 0; i < n; i++) {
		c->lines[i] = lines[i];
		pthread_mutex_lock(&lines[i]->lock);
		lines[i]->closing = true;
		lines[i]->until_ms = c->until_ms;
		pthread_mutex_unlock(&lines[i]->lock);
		sq_amqp_line_wake(lines[i]);
	}
	sq_thread_start(&thread, closer_run, c);
	(void)pthread_detach(thread);
}
