#include "broker/front/door/owners.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/front/door/elsewhere.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/thread.h"

enum {
	OWNERS_FRESH_MS = 10000,
	OWNERS_KNOWN_MS = 60000, /* so long addresses are good while they can't be looked up */
	OWNERS_AGAIN_MS = 500,   /* between two lookups */
};

struct sq_owners {
	struct sq_door_passing cfg;
	pthread_mutex_t lock;
	/* Under the lock. */
	unsigned refs; /* its owner, and a lookup */
	bool looking, doubted;
	char owner[SQ_PLACE_ADDRESS]; /* whose addresses these are */
	struct sq_owner_addresses found;
	uint64_t found_ms, begun_ms;
};

struct owners_lookup {
	struct sq_owners *owners;
	char owner[SQ_PLACE_ADDRESS];
};

struct sq_owners *
sq_owners_new(const struct sq_door_passing *cfg)
{
	struct sq_owners *o = sq_xcalloc(1, sizeof *o);

	o->cfg = *cfg;
	o->refs = 1;
	pthread_mutex_init(&o->lock, NULL);
	return o;
}

/* Called with the lock held, which it drops. */
static void
owners_unref(struct sq_owners *o)
{
	bool last = --o->refs == 0;

	pthread_mutex_unlock(&o->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&o->lock);
	free(o);
}

void
sq_owners_free(struct sq_owners **op)
{
	struct sq_owners *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	pthread_mutex_lock(&o->lock);
	owners_unref(o);
}

/* Whether another broker is known to own; its HOST:PORT is in 'out' then. */
static bool
owners_other(const struct sq_owners *o, struct sq_place *out)
{
	*out = sq_elsewhere_place(o->cfg.place);
	return out->shared && !out->here && out->owner[0] != '\0' &&
	    (o->cfg.self == NULL || strcmp(out->owner, o->cfg.self) != 0);
}

/* The addresses of the host of HOST:PORT, with the port of the API. */
static struct sq_owner_addresses
owners_look(const char *owner, unsigned port)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct sq_owner_addresses found = {0};
	const char *colon = strrchr(owner, ':');
	size_t len = colon != NULL ? (size_t)(colon - owner) : strlen(owner);
	char host[SQ_PLACE_ADDRESS], service[8];
	struct addrinfo *all = NULL;

	if (len >= 2 && owner[0] == '[' && owner[len - 1] == ']') {
		owner++;
		len -= 2;
	}
	(void)snprintf(host, sizeof host, "%.*s", (int)len, owner);
	(void)snprintf(service, sizeof service, "%u", port & 0xffff);
	if (getaddrinfo(host, service, &hints, &all) != 0)
		return found;
	for (const struct addrinfo *a = all; a != NULL && found.n < SQ_OWNERS_MAX; a = a->ai_next) {
		if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
			continue;
		memcpy(&found.v[found.n], a->ai_addr, a->ai_addrlen);
		found.len[found.n++] = a->ai_addrlen;
	}
	freeaddrinfo(all);
	return found;
}

static void *
lookup_run(void *arg)
{
	struct owners_lookup *l = arg;
	struct sq_owners *o = l->owners;
	struct sq_owner_addresses found = owners_look(l->owner, o->cfg.port);

	pthread_mutex_lock(&o->lock);
	o->looking = false;
	if (found.n > 0 && strcmp(o->owner, l->owner) == 0) {
		o->found = found;
		o->found_ms = sq_clock_ms();
	}
	owners_unref(o);
	free(l);
	return NULL;
}

/* Whether the addresses are to be looked up now; with the lock held. */
static bool
owners_due(const struct sq_owners *o, uint64_t now_ms)
{
	if (o->looking)
		return false;
	if (o->begun_ms == 0)
		return true;
	if (o->found.n == 0 || o->doubted)
		return now_ms >= o->begun_ms + OWNERS_AGAIN_MS;
	return now_ms >= o->begun_ms + OWNERS_FRESH_MS;
}

void
sq_owners_tick(struct sq_owners *o, uint64_t now_ms)
{
	struct owners_lookup *l = NULL;
	struct sq_place place;
	pthread_t thread;

	if (!owners_other(o, &place))
		return;
	pthread_mutex_lock(&o->lock);
	if (strcmp(o->owner, place.owner) != 0) {
		memcpy(o->owner, place.owner, sizeof o->owner);
		o->found.n = 0;
		o->begun_ms = 0;
	}
	if (owners_due(o, now_ms)) {
		l = sq_xcalloc(1, sizeof *l);
		l->owners = o;
		memcpy(l->owner, o->owner, sizeof l->owner);
		o->begun_ms = now_ms;
		o->doubted = false;
		o->looking = true;
		o->refs++;
	}
	pthread_mutex_unlock(&o->lock);
	if (l == NULL)
		return;
	sq_thread_start(&thread, lookup_run, l);
	(void)pthread_detach(thread);
}

bool
sq_owners_get(struct sq_owners *o, struct sq_owner_addresses *out)
{
	struct sq_place place;
	bool known;

	if (!owners_other(o, &place))
		return false;
	pthread_mutex_lock(&o->lock);
	known = o->found.n > 0 && strcmp(o->owner, place.owner) == 0 &&
	    sq_clock_ms() < o->found_ms + OWNERS_KNOWN_MS;
	*out = o->found;
	pthread_mutex_unlock(&o->lock);
	return known;
}

void
sq_owners_doubt(struct sq_owners *o)
{
	pthread_mutex_lock(&o->lock);
	o->doubted = true;
	pthread_mutex_unlock(&o->lock);
}

void
sq_owners_map(const struct sockaddr_storage *from, unsigned char out[SQ_STRANGER_ADDRESS_SIZE])
{
	const struct sockaddr_in6 *v6 = (const void *)from;
	const struct sockaddr_in *v4 = (const void *)from;

	memset(out, 0, SQ_STRANGER_ADDRESS_SIZE);
	if (from->ss_family == AF_INET6) {
		memcpy(out, &v6->sin6_addr, sizeof v6->sin6_addr);
	} else if (from->ss_family == AF_INET) {
		out[10] = out[11] = 0xff; /* RFC 4291, 2.5.5.2 */
		memcpy(out + 12, &v4->sin_addr, sizeof v4->sin_addr);
	}
}

bool
sq_owners_have(
    const struct sq_owner_addresses *a, const unsigned char address[SQ_STRANGER_ADDRESS_SIZE])
{
	unsigned char one[SQ_STRANGER_ADDRESS_SIZE];

	for (unsigned i = 0; i < a->n; i++) {
		sq_owners_map(&a->v[i], one);
		if (memcmp(one, address, sizeof one) == 0)
			return true;
	}
	return false;
}
