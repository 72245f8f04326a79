/* Addresses of hosts, by the system's own resolver, which may take longer than any call may: each name is
 * looked up on a thread of its own.  One that is not done in time goes on, and who asks for the name again
 * joins it: there are no more such threads than names. */
#include "store/postgres/pg_priv.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/list.h"
#include "core/mem.h"
#include "core/thread.h"

struct lookup {
	struct sq_list node;
	char name[SQ_PG_HOST];
	unsigned waiting; /* who wants its result */
	bool done;
	int rc; /* of getaddrinfo() */
	struct sq_pg_addresses found;
};

static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	struct sq_list all;
} lookups = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static void
lookups_init(void)
{
	sq_cond_init(&lookups.ended);
	sq_list_init(&lookups.all);
}

/* Under the lock. */
static void
lookup_leave(struct lookup *l)
{
	if (!l->done || l->waiting > 0)
		return;
	sq_list_remove(&l->node);
	free(l);
}

static void
lookup_take(struct sq_pg_addresses *out, const struct addrinfo *list)
{
	for (const struct addrinfo *a = list; a != NULL && out->n < SQ_PG_ADDRESSES; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, out->v[out->n], SQ_PG_ADDRESS, NULL, 0,
			NI_NUMERICHOST) == 0)
			out->n++;
}

static void *
lookup_main(void *arg)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct lookup *l = arg;
	struct sq_pg_addresses found = {.n = 0};
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(l->name, NULL, &hints, &list);

	if (rc == 0) {
		lookup_take(&found, list);
		freeaddrinfo(list);
	}
	pthread_mutex_lock(&lookups.lock);
	l->rc = rc;
	l->found = found;
	l->done = true;
	lookup_leave(l);
	pthread_cond_broadcast(&lookups.ended);
	pthread_mutex_unlock(&lookups.lock);
	return NULL;
}

/* The lookup of that name that is under way, or one that begins.  Under the lock. */
static struct lookup *
lookup_of(const char *name)
{
	struct lookup *l;
	pthread_t thread;

	SQ_LIST_FOR_EACH(it, &lookups.all, struct lookup, node)
		if (!it->done && strcmp(it->name, name) == 0)
			return it;
	l = sq_xcalloc(1, sizeof *l);
	(void)snprintf(l->name, sizeof l->name, "%s", name);
	sq_list_push_back(&lookups.all, &l->node);
	sq_thread_start(&thread, lookup_main, l);
	(void)pthread_detach(thread);
	return l;
}

int
sq_pg_lookup(const char *name, uint64_t until_ms, struct sq_pg_addresses *out, const char **why)
{
	struct lookup *l;
	int rc = SQ_OK;

	(void)pthread_once(&lookups.once, lookups_init);
	pthread_mutex_lock(&lookups.lock);
	l = lookup_of(name);
	l->waiting++;
	while (!l->done && sq_cond_wait_until(&lookups.ended, &lookups.lock, until_ms))
		continue;
	l->waiting--;
	*out = l->found;
	if (!l->done) {
		*why = "its name was not found in time";
		rc = SQ_EAGAIN;
	} else if (l->found.n == 0) {
		*why = l->rc != 0 ? gai_strerror(l->rc) : "it has no address";
		rc = SQ_ENOTFOUND;
	}
	lookup_leave(l);
	pthread_mutex_unlock(&lookups.lock);
	return rc;
}
