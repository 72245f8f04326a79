#include "core/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

enum {
	STATUS_MAX = 200,
	LINE_MAX = STATUS_MAX + 64,
	BEATS = 3, /* within the manager's time */
};

struct sq_notify {
	int fd;           /* -1: nobody listens */
	uint64_t beat_ms; /* between two signs of life; 0: none are asked for */
	uint64_t due_ms;  /* of the next one */
	enum sq_notify_state state;
	bool state_told, status_told;
	char status[STATUS_MAX + 1];
};

/* The number in an environment variable; 0 when it has none. */
static uint64_t
notify_number(const char *name)
{
	const char *text = getenv(name);
	unsigned long long value;
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? value : 0;
}

/* A socket that sends to the one of that name: a path, or "@name" without one.  -1 with errno. */
static int
notify_connect(const char *name)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	int fd, saved;

	if ((name[0] != '/' && name[0] != '@') || len < 2) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	if (len >= sizeof to.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, name, len);
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	else
		len++; /* with its end */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 &&
	    connect(fd, (const struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* False when the manager has no room for it now.  Any other trouble is its own: it has gone. */
static bool
notify_send(const struct sq_notify *n, const char *lines)
{
	ssize_t sent;

	do {
		sent = send(n->fd, lines, strlen(lines), MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS);
}

static void
notify_tell_state(struct sq_notify *n)
{
	char lines[LINE_MAX];

	if (n->fd < 0 || n->state_told)
		return;
	switch (n->state) {
	case SQ_NOTIFY_STARTING:
		n->state_told = true;
		return;
	case SQ_NOTIFY_READY:
		snprintf(lines, sizeof lines, "READY=1\n");
		break;
	case SQ_NOTIFY_RELOADING: /* the time is asked for by Type=notify-reload */
		snprintf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
		    (unsigned long long)sq_clock_us());
		break;
	case SQ_NOTIFY_STOPPING:
		snprintf(lines, sizeof lines, "STOPPING=1\n");
		break;
	}
	n->state_told = notify_send(n, lines);
}

static void
notify_tell_status(struct sq_notify *n)
{
	char lines[LINE_MAX];

	if (n->fd < 0 || n->status_told)
		return;
	snprintf(lines, sizeof lines, "STATUS=%s\n", n->status);
	n->status_told = notify_send(n, lines);
}

struct sq_notify *
sq_notify_open(const char *scope)
{
	struct sq_notify *n = sq_xcalloc(1, sizeof *n);
	const char *name = getenv("NOTIFY_SOCKET");
	uint64_t watched = notify_number("WATCHDOG_PID");

	n->fd = -1;
	n->state_told = n->status_told = true;
	if (name == NULL || name[0] == '\0')
		return n;
	n->fd = notify_connect(name);
	if (n->fd < 0)
		SQ_WARN(
		    scope, "NOTIFY_SOCKET: %s; the service manager hears nothing", strerror(errno));
	if (watched == 0 || watched == (uint64_t)getpid())
		n->beat_ms = notify_number("WATCHDOG_USEC") / 1000 / BEATS;
	return n;
}

void
sq_notify_close(struct sq_notify **np)
{
	struct sq_notify *n = *np;

	*np = NULL;
	if (n == NULL)
		return;
	if (n->fd >= 0)
		close(n->fd);
	free(n);
}

bool
sq_notify_wanted(const struct sq_notify *n)
{
	return n->fd >= 0;
}

void
sq_notify_set(struct sq_notify *n, enum sq_notify_state state)
{
	if (state == n->state)
		return;
	n->state = state;
	n->state_told = false;
	notify_tell_state(n);
}

void
sq_notify_status(struct sq_notify *n, const char *text)
{
	size_t len = strcspn(text, "\n");

	if (len > STATUS_MAX) /* between two characters: what is not UTF-8 is not shown */
		for (len = STATUS_MAX; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
			len--;
	if (strncmp(n->status, text, len) == 0 && n->status[len] == '\0')
		return;
	memcpy(n->status, text, len);
	n->status[len] = '\0';
	n->status_told = false;
	notify_tell_status(n);
}

void
sq_notify_tick(struct sq_notify *n, uint64_t now_ms, bool live)
{
	notify_tell_state(n);
	notify_tell_status(n);
	if (n->fd < 0 || n->beat_ms == 0 || !live || now_ms < n->due_ms)
		return;
	if (notify_send(n, "WATCHDOG=1\n"))
		n->due_ms = now_ms + n->beat_ms;
}
