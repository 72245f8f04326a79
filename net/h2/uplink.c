/* The life of a link, its requests, its deliveries and its writes; see net/h2/uplink.h. */
#include "net/h2/uplink.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/fault.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/percent.h"
#include "net/conn/wire.h"
#include "net/conn/resolve.h"
#include "net/h2/deliveries.h"
#include "net/h2/h2.h"

enum uplink_state {
	UPLINK_OPENING, /* TCP, TLS, SETTINGS, then the deliveries request is out */
	UPLINK_UP,
	UPLINK_ENDED,
};

/* What the broker has said of the link, and of other brokers. */
struct uplink_said {
	struct sq_where told;
	char moves_to[SQ_WHERE_ADDRESS];
	unsigned refused, retry_after_ms;
	bool waits; /* a scout that was refused, and may ask again */
};

/* Of the deliveries request. */
struct uplink_path {
	char *text;
	size_t len; /* without what a scout adds */
};

struct sq_uplink {
	bool scout;
	const struct sq_uplink_env *env;
	const struct sq_uplink_events *events;
	void *owner;
	uint64_t id;
	char name[96];
	const char *authority;
	struct sq_wire *wire;
	bool secure;
	struct sq_h2 *h2; /* from the time that the connection is open */
	struct uplink_path path;
	struct sq_deliveries deliveries;
	unsigned version; /* by the head of the deliveries response */
	struct uplink_said said;
	enum uplink_state state;
	bool draining;
	bool closing; /* no new request may go: GOAWAY, or ids used up */
	bool dirty;   /* there may be something to write */
	bool heard;
	uint64_t heard_ms;
	int use;
	struct sq_list queue; /* struct sq_request, waiting */
	unsigned queued;
	bool ended_well;
	char why[192];
};

static void
    SQ_PRINTF(3, 0) uplink_set_ended(struct sq_uplink *l, bool well, const char *fmt, va_list ap)
{
	if (l->state == UPLINK_ENDED)
		return; /* the first reason is the cause */
	l->state = UPLINK_ENDED;
	l->ended_well = well;
	(void)vsnprintf(l->why, sizeof l->why, fmt, ap);
	if (l->h2 != NULL)
		sq_h2_stop(l->h2);
	l->events->ended(l->owner);
}

static void SQ_PRINTF(2, 3) uplink_lose(struct sq_uplink *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	uplink_set_ended(l, false, fmt, ap);
	va_end(ap);
}

static void SQ_PRINTF(2, 3) uplink_close(struct sq_uplink *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	uplink_set_ended(l, true, fmt, ap);
	va_end(ap);
}

void
sq_uplink_end(struct sq_uplink *l, const char *why)
{
	uplink_lose(l, "%s", why);
}

void
sq_uplink_fail(struct sq_uplink *l, const char *why)
{
	if (l->state == UPLINK_ENDED)
		return;
	SQ_WARN(l->name, "the broker broke the protocol: %s", why);
	uplink_lose(l, "protocol error: %s", why);
}

/* Better than the end that it led to; or 'other'. */
static const char *
uplink_complaint(const struct sq_uplink *l, const char *other)
{
	const char *complaint = l->h2 != NULL ? sq_h2_complaint(l->h2) : NULL;

	return complaint != NULL ? complaint : other;
}

/* The broker asks to move: by a frame, or ('closing') so that nothing new can go. */
static void
uplink_asked_to_move(struct sq_uplink *l, bool closing)
{
	l->dirty = true;
	l->closing = l->closing || closing;
	if (l->state == UPLINK_OPENING)
		uplink_lose(l, "the broker is going away");
	else if (l->state == UPLINK_UP && !l->draining)
		l->events->draining(l->owner);
}

/* --- requests --- */

void
sq_uplink_send(struct sq_uplink *l, struct sq_request *req)
{
	assert(req->n_body <= SQ_ARRAY_LEN(req->body) && req->path[0] == '/');
	req->link = l;
	sq_list_push_back(&l->queue, &req->node);
	l->queued++;
	l->dirty = true;
}

static struct sq_request *
uplink_dequeue(struct sq_uplink *l, struct sq_list *from)
{
	struct sq_request *req = SQ_LIST_FIRST(from, struct sq_request, node);

	if (req == NULL)
		return NULL;
	sq_list_remove(&req->node);
	l->queued--;
	return req;
}

static void
uplink_submit(struct sq_uplink *l)
{
	struct sq_request *req;

	if (l->state != UPLINK_UP)
		return;
	while (!l->closing && sq_h2_flying(l->h2) < SQ_LINK_STREAMS_MAX &&
	    (req = uplink_dequeue(l, &l->queue)) != NULL) {
		sq_net_count(l->env->counts, SQ_NET_REQUESTS, 1);
		if (sq_h2_submit(l->h2, req) != 0)
			return;
		if (sq_h2_used_up(l->h2))
			uplink_asked_to_move(l, true);
	}
}

/* A link that drains is of no use once its last user and request are gone. */
static bool
uplink_spent(const struct sq_uplink *l)
{
	if (sq_h2_flying(l->h2) != 0)
		return false;
	return l->closing || (l->draining && l->use == 0 && sq_list_empty(&l->queue));
}

void
sq_uplink_flush(struct sq_uplink *l)
{
	if (!l->dirty || l->state == UPLINK_ENDED || l->h2 == NULL || sq_wire_blocked(l->wire))
		return;
	l->dirty = false;
	uplink_submit(l);
	sq_h2_write(l->h2);
	l->dirty = l->dirty || sq_wire_blocked(l->wire);
	if (sq_wire_flush(l->wire) != 0)
		uplink_lose(l, "%s", sq_wire_error(l->wire));
	else if (sq_h2_over(l->h2))
		uplink_lose(l, "%s", uplink_complaint(l, "HTTP/2 connection ended"));
	else if (uplink_spent(l))
		uplink_close(l, "drained");
	SQ_FAULT_WRITTEN(l);
}

void
sq_uplink_drain(struct sq_uplink *l)
{
	l->draining = true;
	l->dirty = true;
}

void
sq_uplink_use(struct sq_uplink *l, int delta)
{
	l->use += delta;
	assert(l->use >= 0);
	l->dirty = l->dirty || l->draining;
}

void
sq_uplink_ping(struct sq_uplink *l)
{
	if (l->h2 == NULL)
		return;
	sq_h2_ping(l->h2);
	l->dirty = true;
}

/* --- events of h2 --- */

static_assert((int)SQ_WHERE_ADDRESS > (int)SQ_ADDRESS_MAX, "each address of a frame fits");

/* One with a NUL in it is none. */
static void
uplink_address(char out[SQ_WHERE_ADDRESS], struct sq_bytes address)
{
	bool good = address.len > 0 && memchr(address.p, '\0', address.len) == NULL;

	(void)snprintf(
	    out, SQ_WHERE_ADDRESS, "%.*s", good ? (int)address.len : 0, (const char *)address.p);
}

static int
uplink_on_frame(void *arg, const struct sq_frame *f, struct sq_block *block)
{
	struct sq_uplink *l = arg;
	const struct sq_uplink_frames *to = &l->env->frames;
	char standby[SQ_WHERE_ADDRESS];

	switch (f->type) {
	case SQ_FRAME_DELIVER:
		to->deliver(l->env->owner, l, &f->deliver, block);
		break;
	case SQ_FRAME_DETACHED:
		to->detached(l->env->owner, l, f->epoch, f->reason, f->text);
		break;
	case SQ_FRAME_SUBSCRIBED:
		to->subscribed(l->env->owner, l, f);
		break;
	case SQ_FRAME_KEPT:
		to->kept(l->env->owner, l, f);
		break;
	case SQ_FRAME_DRAINING:
		uplink_address(l->said.moves_to, f->address);
		uplink_asked_to_move(l, false);
		break;
	case SQ_FRAME_STANDBY:
		uplink_address(standby, f->address);
		l->events->standby(l->owner, standby);
		break;
	case SQ_FRAME_TRUST:
		l->events->trust(l->owner, f->digest);
		break;
	case SQ_FRAME_HEARTBEAT:
		break;
	default: /* of a newer version; the link can do without it */
		sq_net_count(l->env->counts, SQ_NET_FRAMES_SKIPPED, 1);
		break;
	}
	return l->state == UPLINK_ENDED ? SQ_ECLOSED : 0;
}

static void
uplink_on_deliveries(void *owner, const unsigned char *p, size_t len)
{
	struct sq_uplink *l = owner;
	int rc;

	l->heard = true;
	rc = sq_deliveries_feed(&l->deliveries, p, len, l->env->max_frame, uplink_on_frame, l);
	if (rc == SQ_EINVAL)
		sq_uplink_fail(l, "malformed frame");
	else if (rc == SQ_ETOOBIG)
		sq_uplink_fail(l, "a frame above the limit");
	assert(rc == 0 || l->state == UPLINK_ENDED);
}

/* The deliveries response is not 200. */
static void
uplink_on_refused(struct sq_uplink *l, const struct sq_answer *a)
{
	static const char *const credentials[] = {
	    [SQ_CREDENTIAL_NONE] = ", it asks for a token or a certificate, and there is none",
	    [SQ_CREDENTIAL_TOKEN] = ", the token is not good",
	    [SQ_CREDENTIAL_CERTIFICATE] = ", the certificate is not good",
	};
	bool unknown = a->status == 401 || a->status == 403;

	l->said.refused = a->status;
	l->said.retry_after_ms = a->retry_after_ms;
	if (l->scout && (a->status == 421 || a->status == 503)) {
		l->said.waits = true;
		l->events->refused(l->owner);
		return;
	}
	sq_net_count(l->env->counts,
	    unknown                ? SQ_NET_REFUSED_CREDENTIAL
		: a->status == 503 ? SQ_NET_REFUSED_BUSY
				   : SQ_NET_REFUSED_OTHER,
	    1);
	uplink_lose(l, "the broker refuses the link: HTTP %u%s", a->status,
	    unknown                        ? credentials[l->env->credential]
		: a->full == SQ_FULL_SPACE ? ", the space has its share of connections"
					   : "");
}

/* The head of the deliveries response: the link is up, or refused. */
static void
uplink_on_opened(void *owner, const struct sq_answer *a)
{
	struct sq_uplink *l = owner;

	assert(l->state == UPLINK_OPENING);
	l->version = a->version;
	l->said.told = *a->told;
	if (a->status != 200) {
		uplink_on_refused(l, a);
		return;
	}
	if (l->version < SQ_LINK_VERSION_MIN || l->version > SQ_LINK_VERSION) {
		sq_uplink_fail(l, "it answered with a version of the link that was not asked for");
		return;
	}
	l->state = UPLINK_UP;
	l->heard = true;
	l->events->up(l->owner);
}

static void
uplink_on_end_of_deliveries(void *owner, const char *error)
{
	struct sq_uplink *l = owner;

	if (l->said.waits)
		return;
	uplink_lose(l, "the deliveries ended%s%s%s",
	    sq_deliveries_partial(&l->deliveries) ? " inside a frame" : "",
	    error != NULL ? ": " : "", error != NULL ? error : "");
}

static void
uplink_on_room(void *owner)
{
	struct sq_uplink *l = owner;

	l->dirty = true;
}

static void
uplink_on_goaway(void *owner)
{
	uplink_asked_to_move(owner, true);
}

static void
uplink_on_broken(void *owner, const char *why)
{
	sq_uplink_fail(owner, why);
}

static void
uplink_on_lost(void *owner, const char *why)
{
	uplink_lose(owner, "%s", why);
}

static const struct sq_h2_events uplink_h2_events = {
    .opened = uplink_on_opened,
    .deliveries = uplink_on_deliveries,
    .closed = uplink_on_end_of_deliveries,
    .room = uplink_on_room,
    .goaway = uplink_on_goaway,
    .broken = uplink_on_broken,
    .lost = uplink_on_lost,
};

/* --- the connection --- */

static void
uplink_on_open(void *owner)
{
	struct sq_uplink *l = owner;
	struct sq_h2_cfg cfg = {
	    .env = l->env->h2,
	    .wire = l->wire,
	    .token = l->env->token,
	    .name = l->name,
	    .authority = l->authority,
	    .deliveries = l->path.text,
	    .secure = l->secure,
	};

	if (l->state == UPLINK_ENDED)
		return;
	l->h2 = sq_h2_new(&cfg, &uplink_h2_events, l);
	if (l->h2 == NULL)
		uplink_lose(l, "HTTP/2 can't be set up");
	l->dirty = true;
}

static void
uplink_on_data(void *owner, const unsigned char *p, size_t len)
{
	struct sq_uplink *l = owner;

	if (l->state == UPLINK_ENDED || l->h2 == NULL)
		return;
	l->dirty = true; /* SETTINGS, PING and windows have answers of their own */
	sq_h2_feed(l->h2, p, len);
	if (l->heard)
		l->heard_ms = sq_clock_ms();
	l->heard = false;
}

static void
uplink_on_drained(void *owner)
{
	struct sq_uplink *l = owner;

	l->dirty = true;
}

static void
uplink_on_closed(void *owner)
{
	struct sq_uplink *l = owner;

	uplink_lose(l, "%s", uplink_complaint(l, sq_wire_error(l->wire)));
}

static const struct sq_wire_events uplink_wire_events = {
    .open = uplink_on_open,
    .data = uplink_on_data,
    .drained = uplink_on_drained,
    .closed = uplink_on_closed,
};

/* --- life --- */

enum { WAIT_ROOM = 48 }; /* bytes of what a scout's path ends with */

static_assert(SQ_UPLINK_WAIT_MS % 1000 == 0, "it is said in seconds");

static char *
uplink_path(uint64_t id, const char *space)
{
	struct sq_buf path = {0};
	char *text;

	sq_buf_printf(&path, "/v1/links/%016" PRIx64 "/deliveries?space=", id);
	if (space != NULL)
		sq_percent_put(&path, space);
	sq_buf_u8(&path, '\0');
	text = sq_xcalloc(1, sq_buf_len(&path) + WAIT_ROOM);
	memcpy(text, sq_buf_data(&path), sq_buf_len(&path));
	sq_buf_fini(&path);
	return text;
}

/* Has a scout's request wait for an owner of later. */
static void
uplink_wait(struct sq_uplink *l, uint64_t epoch)
{
	char *end = l->path.text + l->path.len;

	(void)snprintf(end, WAIT_ROOM, "&wait=%d&epoch=%" PRIu64, SQ_UPLINK_WAIT_MS / 1000, epoch);
}

struct sq_uplink *
sq_uplink_new(const struct sq_uplink_env *env, const struct sq_uplink_to *to,
    const struct sq_uplink_events *events, void *owner)
{
	struct sq_uplink *l = sq_xcalloc(1, sizeof *l);
	struct sq_wire_cfg cfg = {
	    .loop = env->loop,
	    .io = env->io,
	    .addr = (const struct sockaddr *)&to->addr->ss,
	    .addr_len = to->addr->len,
	    .tls = to->tls,
	    .pair = to->pair,
	    .server = to->server,
	};

	l->env = env;
	l->events = events;
	l->owner = owner;
	l->id = sq_random_u64();
	l->authority = to->authority;
	l->secure = to->tls != NULL;
	l->version = SQ_LINK_VERSION_MIN;
	sq_list_init(&l->queue);
	(void)snprintf(l->name, sizeof l->name, "%s", to->name);
	l->path.text = uplink_path(l->id, to->space);
	l->path.len = strlen(l->path.text);
	l->scout = to->scout;
	if (l->scout)
		uplink_wait(l, to->epoch);
	l->wire = sq_wire_new(&cfg, &uplink_wire_events, l);
	return l;
}

void
sq_uplink_finish(struct sq_uplink *l)
{
	struct sq_list waiting;
	struct sq_request *req;

	assert(l->state == UPLINK_ENDED);
	sq_list_init(&waiting);
	sq_list_splice(&waiting, &l->queue);
	if (l->h2 != NULL)
		sq_h2_finish(l->h2);
	while ((req = uplink_dequeue(l, &waiting)) != NULL)
		req->done(req, &(struct sq_answer){0});
}

void
sq_uplink_free(struct sq_uplink **lp)
{
	struct sq_uplink *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	sq_h2_free(&l->h2);
	sq_wire_free(&l->wire);
	sq_deliveries_fini(&l->deliveries);
	free(l->path.text);
	free(l);
}

void
sq_uplink_ask(struct sq_uplink *l, uint64_t epoch)
{
	if (l->state != UPLINK_OPENING || !l->said.waits)
		return;
	l->said.waits = false;
	l->said.refused = 0;
	l->dirty = true;
	uplink_wait(l, epoch);
	sq_h2_ask(l->h2);
}

bool
sq_uplink_asks(const struct sq_uplink *l)
{
	return l->h2 != NULL && l->state == UPLINK_OPENING && !l->said.waits;
}

const struct sq_where *
sq_uplink_told(const struct sq_uplink *l)
{
	return &l->said.told;
}

const char *
sq_uplink_moves_to(const struct sq_uplink *l)
{
	return l->said.moves_to;
}

uint64_t
sq_uplink_id(const struct sq_uplink *l)
{
	return l->id;
}

const char *
sq_uplink_name(const struct sq_uplink *l)
{
	return l->name;
}

unsigned
sq_uplink_version(const struct sq_uplink *l)
{
	return l->version;
}

bool
sq_uplink_draining(const struct sq_uplink *l)
{
	return l->draining;
}

const char *
sq_uplink_ended(const struct sq_uplink *l)
{
	return l->state == UPLINK_ENDED ? l->why : NULL;
}

bool
sq_uplink_ended_well(const struct sq_uplink *l)
{
	return l->ended_well;
}

bool
sq_uplink_usable(const struct sq_uplink *l)
{
	return l->state == UPLINK_UP && !l->draining;
}

unsigned
sq_uplink_load(const struct sq_uplink *l)
{
	unsigned flying = l->h2 != NULL ? sq_h2_flying(l->h2) : 0;

	return l->queued + flying + (unsigned)l->use;
}

uint64_t
sq_uplink_heard_ms(const struct sq_uplink *l)
{
	return l->heard_ms;
}

unsigned
sq_uplink_refused(const struct sq_uplink *l, unsigned *retry_after_ms)
{
	*retry_after_ms = l->said.retry_after_ms;
	return l->said.refused;
}
