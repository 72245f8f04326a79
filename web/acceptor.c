/* See web/acceptor.h. */
#include "web/acceptor.h"

#include <errno.h>
#include <string.h>

#include "core/log.h"

/* A socket that nothing can be accepted from stays readable, and the loop would spin. */
static void
acceptor_pause(struct sq_acceptor *l)
{
	if (l->scope != NULL)
		SQ_WARN(l->scope, "accept: %s; waiting", strerror(errno));
	l->paused = true;
	for (unsigned i = 0; i < l->n; i++)
		h2o_socket_read_stop(l->sockets[i]);
}

static void
acceptor_on_ready(h2o_socket_t *listening, const char *err)
{
	struct sq_acceptor *l = listening->data;

	if (err != NULL)
		return;
	for (unsigned i = 0; i < l->burst; i++) {
		h2o_socket_t *sock = h2o_evloop_socket_accept(listening);

		if (sock != NULL) {
			l->accepted(l->owner, sock);
		} else if (errno != ECONNABORTED && errno != EINTR) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				acceptor_pause(l);
			return;
		}
	}
}

static void
acceptor_start(struct sq_acceptor *l)
{
	for (unsigned i = 0; i < l->n; i++)
		h2o_socket_read_start(l->sockets[i], acceptor_on_ready);
}

void
sq_acceptor_open(struct sq_acceptor *l, h2o_loop_t *loop, struct sq_listen *from, unsigned set)
{
	for (l->n = 0; l->n < from->n; l->n++) {
		int *fd = &from->fds[set * SQ_LISTEN_ADDRS + l->n];

		l->sockets[l->n] = h2o_evloop_socket_create(loop, *fd, H2O_SOCKET_FLAG_DONT_READ);
		l->sockets[l->n]->data = l;
		*fd = -1;
	}
	acceptor_start(l);
}

bool
sq_acceptor_paused(const struct sq_acceptor *l)
{
	return l->paused;
}

void
sq_acceptor_resume(struct sq_acceptor *l)
{
	if (!l->paused)
		return;
	l->paused = false;
	acceptor_start(l);
}

void
sq_acceptor_close(struct sq_acceptor *l)
{
	while (l->n > 0) {
		h2o_socket_t *s = l->sockets[--l->n];

		h2o_socket_read_stop(s);
		h2o_socket_close(s);
	}
	l->paused = false;
}
