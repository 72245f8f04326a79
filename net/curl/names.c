/* Names and their addresses, by getaddrinfo() on a thread for each lookup.
 *
 * At most 'lookups' names are looked up at a time, each by one thread; requests to a name whose
 * addresses are not known wait for it.  A lookup that hangs keeps its thread, and its place among
 * those, until it ends; nobody joins it. */
#include <arpa/inet.h>
#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/thread.h"
#include "net/curl/out_priv.h"

enum {
	NAME_FRESH_MS = 30000,
	/* So long addresses are good while they can't be looked up. */
	NAME_KNOWN_MS = 600000,
	NAME_SLOW_MS =
	    1000, /* a lookup that takes longer holds up nobody whose addresses are known */
	NAME_LOADED_MS = 1800000, /* half of what libcurl keeps them */
	NAME_ADDRESSES = 16,
	NAME_PORTS = 4, /* of which it is noted that libcurl knows them */
	NAMES_SWEEP = 256,
};

struct name_port {
	uint16_t port;
	uint64_t loaded_ms;
};

struct sq_out_name {
	struct sq_hnode node;
	struct sq_out *out;
	struct sq_list waiting; /* requests */
	struct sq_list queued;
	struct sq_buf addresses; /* "192.0.2.1,2001:db8::1" */
	uint64_t looked_ms;      /* when they were found; 0: never */
	uint64_t begun_ms;       /* of the lookup that is under way; 0: none */
	bool doubted;
	unsigned users;       /* requests */
	unsigned connections; /* open */
	struct name_port ports[NAME_PORTS];
	char text[];
};

struct name_lookup {
	struct sq_list flying; /* the thread of sq_out's */
	struct sq_list looked; /* under the lock */
	struct sq_out *out;
	struct sq_out_name *name; /* good unless out->closed */
	char *owner;
	int rc; /* of getaddrinfo() */
	struct sq_buf addresses;
	char host[SQ_OUT_HOST_MAX + 1];
};

void
sq_out_names_init(struct sq_out *o)
{
	sq_list_init(&o->names.queued);
	sq_list_init(&o->names.flying);
	o->names.none = sq_xcalloc(1, sizeof *o->names.none + 1);
	o->names.none->out = o;
}

static bool
name_is_address(const char *host)
{
	unsigned char room[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, room) == 1 || inet_pton(AF_INET6, host, room) == 1;
}

/* The table. */

static struct sq_out_name *
name_find(struct sq_out *o, const char *host, uint64_t hash)
{
	struct sq_hnode *h = sq_htab_find(&o->names.all, hash);

	for (; h != NULL; h = sq_htab_next_same(h)) {
		struct sq_out_name *n = SQ_CONTAINER_OF(h, struct sq_out_name, node);

		if (strcmp(n->text, host) == 0)
			return n;
	}
	return NULL;
}

static bool
name_is_used(const struct sq_out_name *n)
{
	return n->users > 0 || n->connections > 0 || n->begun_ms != 0;
}

static void
name_free(struct sq_out_name *n)
{
	assert(!name_is_used(n) && sq_list_empty(&n->waiting));
	sq_list_remove(&n->queued);
	sq_htab_remove(&n->out->names.all, &n->node);
	sq_buf_fini(&n->addresses);
	free(n);
}

/* Frees names that nobody needs. */
static void
names_sweep(struct sq_out *o, uint64_t now)
{
	struct sq_hnode *h = sq_htab_walk(&o->names.all, NULL);

	while (h != NULL) {
		struct sq_out_name *n = SQ_CONTAINER_OF(h, struct sq_out_name, node);

		h = sq_htab_walk(&o->names.all, h);
		if (!name_is_used(n) && now - n->looked_ms > NAME_FRESH_MS)
			name_free(n);
	}
}

static struct sq_out_name *
name_of(struct sq_out *o, const char *host, uint64_t now)
{
	size_t len = strlen(host);
	uint64_t hash = sq_hash(host, len);
	struct sq_out_name *n = name_find(o, host, hash);

	if (n != NULL)
		return n;
	/* Each time that their number has doubled, or nearly so. */
	if (o->names.all.n >= NAMES_SWEEP && (o->names.all.n & (o->names.all.n - 1)) == 0)
		names_sweep(o, now);
	n = sq_xcalloc(1, sizeof *n + len + 1);
	memcpy(n->text, host, len);
	n->out = o;
	sq_list_init(&n->waiting);
	sq_list_init(&n->queued);
	sq_htab_insert(&o->names.all, &n->node, hash);
	return n;
}

/* Lookups. */

static void
lookup_free(struct name_lookup *l)
{
	free(l->owner);
	sq_buf_fini(&l->addresses);
	free(l);
}

static void
lookup_add(struct name_lookup *l, const struct sockaddr *a)
{
	char text[INET6_ADDRSTRLEN];
	const void *from = a->sa_family == AF_INET
	    ? (const void *)&((const struct sockaddr_in *)(const void *)a)->sin_addr
	    : (const void *)&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;

	if (inet_ntop(a->sa_family, from, text, sizeof text) != NULL)
		sq_buf_printf(
		    &l->addresses, "%s%s", sq_buf_len(&l->addresses) > 0 ? "," : "", text);
}

static void *
lookup_run(void *arg)
{
	struct name_lookup *l = arg;
	struct sq_out *o = l->out;
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	unsigned n = 0;

	l->rc = getaddrinfo(l->host, NULL, &hints, &found);
	if (l->rc == 0) {
		for (struct addrinfo *a = found; a != NULL && n < NAME_ADDRESSES; a = a->ai_next)
			if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
				lookup_add(l, a->ai_addr), n++;
		freeaddrinfo(found);
		l->rc = n > 0 ? 0 : EAI_NONAME;
	}
	pthread_mutex_lock(&o->in.lock);
	if (!o->in.closed) {
		sq_list_push_back(&o->in.looked, &l->looked);
		sq_out_wake(o);
		l = NULL;
	}
	pthread_mutex_unlock(&o->in.lock);
	if (l != NULL)
		lookup_free(l);
	sq_out_unref(o);
	return NULL;
}

static bool
names_have_room(const struct sq_out *o, const char *owner)
{
	unsigned n = 0;

	if (o->names.n_flying >= o->lookups)
		return false;
	if (owner == NULL)
		return true;
	SQ_LIST_FOR_EACH(l, &o->names.flying, struct name_lookup, flying)
		n += l->owner != NULL && strcmp(l->owner, owner) == 0;
	return n < (o->lookups + 3) / 4;
}

static void
name_look(struct sq_out_name *n, const char *owner, uint64_t now)
{
	struct sq_out *o = n->out;
	struct name_lookup *l = sq_xcalloc(1, sizeof *l);
	pthread_t thread;

	assert(n->begun_ms == 0);
	sq_list_remove(&n->queued);
	n->begun_ms = now;
	l->out = o;
	l->name = n;
	l->owner = owner != NULL ? sq_xstrdup(owner) : NULL;
	(void)snprintf(l->host, sizeof l->host, "%s", n->text);
	sq_list_init(&l->looked);
	sq_list_push_back(&o->names.flying, &l->flying);
	o->names.n_flying++;
	atomic_store(&o->n_lookups, o->names.n_flying);
	pthread_mutex_lock(&o->in.lock);
	o->in.refs++;
	pthread_mutex_unlock(&o->in.lock);
	sq_thread_start(&thread, lookup_run, l);
	(void)pthread_detach(thread);
}

/* Starts a lookup of a name in the queue, if one of those who wait may have one. */
static bool
name_try(struct sq_out_name *n, uint64_t now)
{
	const char *last = NULL;

	SQ_LIST_FOR_EACH(r, &n->waiting, struct sq_out_request, node) {
		if (r->way->owner != NULL && r->way->owner == last)
			continue;
		last = r->way->owner;
		if (names_have_room(n->out, last)) {
			name_look(n, last, now);
			return true;
		}
	}
	return false;
}

static void
names_try(struct sq_out *o)
{
	uint64_t now = sq_clock_ms();

	SQ_LIST_FOR_EACH_SAFE(n, &o->names.queued, struct sq_out_name, queued) {
		if (o->names.n_flying >= o->lookups)
			return;
		(void)name_try(n, now);
	}
}

/* Requests. */

/* Whether the addresses do while they can't be looked up. */
static bool
name_is_known(const struct sq_out_name *n, uint64_t now)
{
	return n->looked_ms != 0 && !n->doubted && now - n->looked_ms < NAME_KNOWN_MS;
}

/* Whether a request may go on at once; begins a lookup of what is not fresh. */
static bool
name_pass(struct sq_out_name *n, const char *owner, uint64_t now)
{
	bool known = name_is_known(n, now), looking = n->begun_ms != 0;

	if (known && now - n->looked_ms < NAME_FRESH_MS)
		return true;
	if (!looking && names_have_room(n->out, owner)) {
		name_look(n, owner, now);
		looking = true;
	}
	/* Its open connections need no address. */
	if (n->connections > 0 && n->looked_ms != 0)
		return true;
	return known && (!looking || now - n->begun_ms >= NAME_SLOW_MS);
}

bool
sq_out_names_enter(struct sq_out_transfer *t)
{
	struct sq_out *o = t->out;
	const char *host = t->proxied ? o->proxy.host : t->host;
	uint64_t now;

	if (name_is_address(host))
		return true;
	now = sq_clock_ms();
	t->name = name_of(o, host, now);
	t->name->users++;
	if (name_pass(t->name, t->req->way->owner, now))
		return true;
	sq_list_push_back(&t->name->waiting, &t->req->node);
	if (t->name->begun_ms == 0 && sq_list_empty(&t->name->queued))
		sq_list_push_back(&o->names.queued, &t->name->queued);
	return false;
}

void
sq_out_names_leave(struct sq_out_transfer *t)
{
	struct sq_out_name *n = t->name;

	if (n == NULL)
		return;
	t->name = NULL;
	assert(n->users > 0);
	n->users--;
	if (sq_list_empty(&n->waiting))
		sq_list_remove(&n->queued);
	if (!name_is_used(n) && n->looked_ms == 0)
		name_free(n);
}

/* Takes up what was found; false: there is no address. */
static bool
name_take(struct sq_out_name *n, struct name_lookup *l)
{
	uint64_t now = sq_clock_ms();

	if (l->rc == EAI_NONAME || l->rc == EAI_NODATA)
		n->looked_ms = 0;
	if (l->rc != 0)
		return name_is_known(n, now);
	if (!sq_buf_equal(&n->addresses, &l->addresses)) {
		memset(n->ports, 0, sizeof n->ports);
		sq_buf_drain(&n->addresses, sq_buf_len(&n->addresses));
		sq_buf_append(&n->addresses, sq_buf_data(&l->addresses), sq_buf_len(&l->addresses));
	}
	n->looked_ms = now;
	n->doubted = false;
	return true;
}

static void
name_answer(struct sq_out_name *n, struct name_lookup *l,
    void (*answered)(struct sq_out_transfer *, const char *why))
{
	bool good = name_take(n, l);
	struct sq_out_request *r;
	struct sq_list waiting;
	char why[160];

	(void)snprintf(why, sizeof why, "%.100s: %s", n->text, gai_strerror(l->rc));
	n->begun_ms = 0;
	n->users++; /* of this function */
	sq_list_init(&waiting);
	sq_list_splice(&waiting, &n->waiting);
	while ((r = SQ_LIST_FIRST(&waiting, struct sq_out_request, node)) != NULL) {
		sq_list_remove(&r->node);
		answered(r->transfer, good ? NULL : why);
	}
	n->users--;
	if (!name_is_used(n) && n->looked_ms == 0)
		name_free(n);
}

void
sq_out_names_answer(struct sq_out *o, struct sq_list *looked,
    void (*answered)(struct sq_out_transfer *, const char *why))
{
	struct name_lookup *l;

	if (sq_list_empty(looked))
		return;
	while ((l = SQ_LIST_FIRST(looked, struct name_lookup, looked)) != NULL) {
		sq_list_remove(&l->looked);
		sq_list_remove(&l->flying);
		o->names.n_flying--;
		name_answer(l->name, l, answered);
		lookup_free(l);
	}
	atomic_store(&o->n_lookups, o->names.n_flying);
	names_try(o);
}

bool
sq_out_name_looking(const struct sq_out_name *n)
{
	return n->begun_ms != 0;
}

void
sq_out_name_doubt(struct sq_out_name *n)
{
	if (n != NULL)
		n->doubted = true;
}

void
sq_out_name_connected(struct sq_out_name *n, int by)
{
	n->connections += (unsigned)by;
	atomic_fetch_add(&n->out->n_connections, (unsigned)by);
}

/* What libcurl knows. */

/* The place of a port; NULL: there is none left. */
static struct name_port *
name_port(struct sq_out_name *n, uint16_t port)
{
	for (unsigned i = 0; i < NAME_PORTS; i++)
		if (n->ports[i].port == port || n->ports[i].port == 0)
			return &n->ports[i];
	return NULL;
}

void
sq_out_name_resolve(const struct sq_out_transfer *t, struct sq_buf *out)
{
	struct sq_out_name *n = t->name;
	uint16_t port = t->proxied ? t->out->proxy.port : t->port;
	struct name_port *p;
	size_t len;

	if (n == NULL)
		return;
	p = name_port(n, port);
	if (p != NULL && p->port == port && sq_clock_ms() - p->loaded_ms < NAME_LOADED_MS)
		return;
	len = strlen(n->text);
	for (unsigned dot = 0; dot < 1u + (n->text[len - 1] == '.'); dot++) {
		sq_buf_printf(out, "+%.*s:%u:%.*s", (int)(len - dot), n->text, port,
		    (int)sq_buf_len(&n->addresses), (const char *)sq_buf_data(&n->addresses));
		sq_buf_u8(out, 0);
	}
}

void
sq_out_name_resolved(const struct sq_out_transfer *t)
{
	uint16_t port = t->proxied ? t->out->proxy.port : t->port;
	struct name_port *p = name_port(t->name, port);

	if (p == NULL)
		return;
	p->port = port;
	p->loaded_ms = sq_clock_ms();
}

void
sq_out_names_forget(struct sq_out *o)
{
	struct sq_hnode *h = sq_htab_walk(&o->names.all, NULL);

	while (h != NULL) {
		struct sq_out_name *n = SQ_CONTAINER_OF(h, struct sq_out_name, node);

		h = sq_htab_walk(&o->names.all, h);
		memset(n->ports, 0, sizeof n->ports);
		if (!name_is_used(n))
			name_free(n);
	}
}

void
sq_out_names_part(struct sq_out *o)
{
	struct name_lookup *l;

	while ((l = SQ_LIST_FIRST(&o->names.flying, struct name_lookup, flying)) != NULL)
		sq_list_remove(&l->flying);
}

void
sq_out_names_fini(struct sq_out *o)
{
	struct sq_hnode *h = sq_htab_walk(&o->names.all, NULL);

	while (h != NULL) {
		struct sq_out_name *n = SQ_CONTAINER_OF(h, struct sq_out_name, node);

		h = sq_htab_walk(&o->names.all, h);
		n->begun_ms = 0; /* who looks it up finds 'closed' */
		name_free(n);
	}
	sq_htab_fini(&o->names.all);
	assert(o->names.none->connections == 0);
	free(o->names.none);
}
