#include "broker/front/door/presence.h"

#include <poll.h>

void
sq_presence_begin(struct sq_presence *p, int fd)
{
	pthread_mutex_init(&p->lock, NULL);
	p->fd = fd;
}

bool
sq_presence_here(struct sq_presence *p)
{
	struct pollfd at = {.events = POLLRDHUP};
	bool here;

	pthread_mutex_lock(&p->lock);
	at.fd = p->fd;
	here = p->fd >= 0 && (poll(&at, 1, 0) <= 0 || at.revents == 0);
	pthread_mutex_unlock(&p->lock);
	return here;
}

void
sq_presence_end(struct sq_presence *p)
{
	pthread_mutex_lock(&p->lock);
	p->fd = -1;
	pthread_mutex_unlock(&p->lock);
}

void
sq_presence_fini(struct sq_presence *p)
{
	pthread_mutex_destroy(&p->lock);
}
