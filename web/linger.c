/* See web/linger.h. */
#include "web/linger.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINGER_MS = 1000 };

void
sq_linger_add(struct sq_lingers *l, int fd, uint64_t now_ms)
{
	int copy;

	if (l->n == SQ_LINGER_MOST)
		return;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy >= 0)
		l->v[l->n++] = (struct sq_linger){copy, now_ms + LINGER_MS};
}

void
sq_lingers_tick(struct sq_lingers *l, uint64_t now_ms)
{
	unsigned over = 0;

	while (over < l->n && now_ms >= l->v[over].until_ms)
		close(l->v[over++].fd);
	l->n -= over;
	memmove(l->v, l->v + over, l->n * sizeof l->v[0]);
	for (unsigned i = 0; i < l->n; i++)
		shutdown(l->v[i].fd, SHUT_WR);
}

void
sq_lingers_fini(struct sq_lingers *l)
{
	sq_lingers_tick(l, UINT64_MAX);
}
