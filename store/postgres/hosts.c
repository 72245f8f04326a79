#include "store/postgres/pg_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"

/* Hosts that have left a call unanswered, of this process: in a split brain the old primary, too, says
 * that it can be written to.  A place is taken again, the oldest first. */
static struct {
	pthread_mutex_t lock;
	struct {
		char host[SQ_PG_HOST];
		uint64_t since_us; /* 0: the place is free */
	} silent[SQ_PG_HOSTS];
} hosts = {.lock = PTHREAD_MUTEX_INITIALIZER};

void
sq_pg_hosts_note(const char *host, bool answers)
{
	size_t place = 0;

	pthread_mutex_lock(&hosts.lock);
	for (size_t i = 0; i < SQ_PG_HOSTS; i++) {
		if (hosts.silent[i].since_us != 0 && strcmp(hosts.silent[i].host, host) == 0) {
			place = i;
			break;
		}
		if (hosts.silent[i].since_us < hosts.silent[place].since_us)
			place = i;
	}
	if (!answers) {
		(void)snprintf(hosts.silent[place].host, SQ_PG_HOST, "%s", host);
		hosts.silent[place].since_us = sq_clock_us();
	} else if (strcmp(hosts.silent[place].host, host) == 0)
		hosts.silent[place].since_us = 0;
	pthread_mutex_unlock(&hosts.lock);
}

static uint64_t
hosts_silent_since(const char *host)
{
	uint64_t since = 0;

	pthread_mutex_lock(&hosts.lock);
	for (size_t i = 0; i < SQ_PG_HOSTS; i++)
		if (strcmp(hosts.silent[i].host, host) == 0)
			since = hosts.silent[i].since_us;
	pthread_mutex_unlock(&hosts.lock);
	return since;
}

bool
sq_pg_host_split(const char *host, char *name, char *port)
{
	const char *colon = strrchr(host, ':'), *end = host + strlen(host);

	if (host[0] == '[') { /* an address of IPv6, which has colons itself */
		const char *close = strchr(host, ']');

		if (close == NULL || (close[1] != '\0' && close[1] != ':'))
			return false;
		colon = close[1] == ':' ? close + 1 : NULL;
		host++;
		end = close;
	} else if (colon != NULL)
		end = colon;
	if (end == host || (size_t)(end - host) >= SQ_PG_HOST)
		return false;
	memcpy(name, host, (size_t)(end - host));
	name[end - host] = '\0';
	(void)snprintf(port, SQ_PG_HOST, "%s", colon != NULL ? colon + 1 : "5432");
	return port[0] != '\0' && strspn(port, "0123456789") == strlen(port) && strlen(port) <= 5;
}

bool
sq_pg_host_is_near(const char *name)
{
	return name[0] == '/' || strcmp(name, "localhost") == 0 || strcmp(name, "::1") == 0 ||
	    (strncmp(name, "127.", 4) == 0 && strspn(name, "0123456789.") == strlen(name));
}

/* Puts the last one where it belongs among those before it. */
static void
hosts_sort_in(struct sq_pg_hosts *h)
{
	char host[SQ_PG_HOST];
	size_t i = h->n - 1;
	uint64_t since;

	memcpy(host, h->host[i], SQ_PG_HOST);
	since = hosts_silent_since(host);
	for (; i > 0 && hosts_silent_since(h->host[i - 1]) > since; i--)
		memcpy(h->host[i], h->host[i - 1], SQ_PG_HOST);
	memcpy(h->host[i], host, SQ_PG_HOST);
}

int
sq_pg_hosts_read(struct sq_pg_hosts *h, const char *list, struct sq_buf *err)
{
	char name[SQ_PG_HOST], port[SQ_PG_HOST];

	h->n = 0;
	while (list != NULL && *(list += strspn(list, ", ")) != '\0') {
		size_t len = strcspn(list, ", ");

		if (len >= SQ_PG_HOST || h->n == SQ_PG_HOSTS) {
			sq_buf_printf(
			    err, "hosts: more than %d, or one that is too long", SQ_PG_HOSTS);
			return SQ_EINVAL;
		}
		memcpy(h->host[h->n], list, len);
		h->host[h->n][len] = '\0';
		if (!sq_pg_host_split(h->host[h->n], name, port)) {
			sq_buf_printf(err, "hosts: %s is none", h->host[h->n]);
			return SQ_EINVAL;
		}
		h->n++;
		hosts_sort_in(h);
		list += len;
	}
	if (h->n == 0) {
		sq_buf_printf(err, "hosts: none is given");
		return SQ_EINVAL;
	}
	return SQ_OK;
}
