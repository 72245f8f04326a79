#include "sidecar/self.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/mqtt/encode.h"
#include "proto/mqtt/options.h"
#include "proto/topic/sys_value.h"
#include "proto/topic/topic.h"
#include "sidecar/mqtt/client.h"
#include "sidecar/mqtt/clients.h"
#include "sidecar/hold/hold.h"
#include "sidecar/hold/user.h"

#define PREFIX "$SYS/sidecar/"

enum {
	IDS_MAX = 64, /* identifiers of one message */
};

/* X(symbol, name) */
#define SELF_TOPICS(X) \
	X(VERSION, "version") \
	X(UPTIME, "uptime") \
	X(CONNECTED, "clients/connected") \
	X(SESSIONS, "sessions/count") \
	X(ATTACHED, "sessions/attached") \
	X(LINKS, "links/connected") \
	X(LINKS_LOST, "links/lost") \
	X(DECLARED, "declared/count") \
	X(DECLARED_OK, "declared/in-place") \
	X(LANES, "lanes/bytes") \
	X(OUTBOX, "outbox/bytes") \
	X(RECEIVED, "messages/received") \
	X(SENT, "messages/sent") \
	X(PUBLISH_RECEIVED, "publish/messages/received") \
	X(PUBLISH_SENT, "publish/messages/sent") \
	X(PUBLISH_DROPPED, "publish/messages/dropped") \
	X(PUBLISH_REFUSED, "publish/messages/refused") \
	X(BYTES_RECEIVED, "bytes/received") \
	X(BYTES_SENT, "bytes/sent")

#define SELF_TOPIC_ENUM(sym, name) TOPIC_##sym,
enum self_topic { SELF_TOPICS(SELF_TOPIC_ENUM) TOPICS };

static const char *const self_names[] = {
#define SELF_TOPIC_NAME(sym, name) [TOPIC_##sym] = PREFIX name,
    SELF_TOPICS(SELF_TOPIC_NAME)
#undef SELF_TOPIC_NAME
};

struct self_sub {
	struct sq_list node;
	uint32_t sub_id;
	uint8_t options;
	bool fresh; /* it is to get all values */
	size_t len;
	unsigned char filter[];
};

struct sq_self_subs {
	struct sq_list node; /* of all */
	struct sq_hold *hold;
	struct sq_list list; /* struct self_sub; not empty */
};

struct sq_self {
	struct sq_holds *holds;
	struct sq_clients *clients;
	struct sq_list all;  /* struct sq_self_subs */
	struct sq_turn turn; /* one of them has such a subscription; before clients write */
	uint64_t start_ms;
	ev_timer timer; /* runs while there is one */
	struct sq_sys_told told[TOPICS];
};

/* --- values --- */

static int64_t
self_metric(const struct sq_holds *h, enum sq_sidecar_metric m)
{
	return atomic_load_explicit(&h->metrics->values[m], memory_order_relaxed);
}

static void
self_values(const struct sq_self *self, int64_t *v)
{
	const struct sq_holds *h = self->holds;

	v[TOPIC_VERSION] = 0;
	v[TOPIC_UPTIME] = (int64_t)((sq_holds_now(h) - self->start_ms) / 1000);
	v[TOPIC_CONNECTED] = (int64_t)sq_clients_open(self->clients);
	v[TOPIC_SESSIONS] = self_metric(h, SQ_M_SESSIONS);
	v[TOPIC_ATTACHED] = self_metric(h, SQ_M_ATTACHED);
	v[TOPIC_LINKS] = self_metric(h, SQ_M_LINKS);
	v[TOPIC_LINKS_LOST] = self_metric(h, SQ_M_LINKS_LOST);
	v[TOPIC_DECLARED] = self_metric(h, SQ_M_DECLARED);
	v[TOPIC_DECLARED_OK] = self_metric(h, SQ_M_DECLARED_OK);
	v[TOPIC_LANES] = self_metric(h, SQ_M_BACKLOG);
	v[TOPIC_OUTBOX] = self_metric(h, SQ_M_OUTBOX_BYTES);
	v[TOPIC_RECEIVED] = self_metric(h, SQ_M_RECEIVED_QOS0) +
	    self_metric(h, SQ_M_RECEIVED_QOS1) + self_metric(h, SQ_M_RECEIVED_QOS2);
	v[TOPIC_SENT] = self_metric(h, SQ_M_SENT_QOS0) + self_metric(h, SQ_M_SENT_QOS1) +
	    self_metric(h, SQ_M_SENT_QOS2);
	v[TOPIC_PUBLISH_RECEIVED] = v[TOPIC_RECEIVED];
	v[TOPIC_PUBLISH_SENT] = v[TOPIC_SENT];
	v[TOPIC_PUBLISH_DROPPED] = self_metric(h, SQ_M_DROPPED_TOO_LARGE) +
	    self_metric(h, SQ_M_DROPPED_CUT);
	v[TOPIC_PUBLISH_REFUSED] = self_metric(h, SQ_M_REFUSED_STRICT) +
	    self_metric(h, SQ_M_REFUSED_RESERVED) + self_metric(h, SQ_M_REFUSED_BROKER);
	v[TOPIC_BYTES_RECEIVED] = (int64_t)self->clients->bytes_received;
	v[TOPIC_BYTES_SENT] = (int64_t)self->clients->bytes_sent;
}

/* --- saying --- */

/* Says a value to the client, unless its output is full: there is the next one. */
static void
self_put(struct sq_client *c, enum self_topic topic, int64_t value, bool retain,
    const uint32_t *ids, size_t n_ids)
{
	char text[SQ_SYS_TEXT_MAX];
	struct sq_mqtt_publish_out out = {.retain = retain,
	    .expiry_s = SQ_MSG_NO_EXPIRY,
	    .topic = sq_bytes_of(self_names[topic]),
	    .sub_ids = ids,
	    .sub_ids_n = n_ids};

	sq_sys_text(text,
	    topic == TOPIC_VERSION      ? SQ_SYS_VERSION
		: topic == TOPIC_UPTIME ? SQ_SYS_SECONDS
					: SQ_SYS_NUMBER,
	    value);
	sq_client_say(c, &out, text);
}

static bool
sub_selects(const struct self_sub *sub, enum self_topic topic)
{
	return sq_topic_match(
	    (struct sq_bytes){sub->filter, sub->len}, sq_bytes_of(self_names[topic]));
}

/* All values for a new subscription. */
static void
self_first(struct sq_self *self, struct sq_client *c, const struct self_sub *sub)
{
	bool only = self->all.next == self->all.prev; /* nobody else has heard anything */
	int64_t v[TOPICS];

	self_values(self, v);
	for (int i = 0; i < TOPICS; i++) {
		sq_sys_told_one(&self->told[i], v[i], only);
		if (sub_selects(sub, (enum self_topic)i))
			self_put(c, (enum self_topic)i, v[i], true, &sub->sub_id, sub->sub_id != 0);
	}
}

static void
self_on_turn(struct sq_turn *t)
{
	struct sq_self *self = SQ_CONTAINER_OF(t, struct sq_self, turn);

	SQ_LIST_FOR_EACH(subs, &self->all, struct sq_self_subs, node) {
		SQ_LIST_FOR_EACH(sub, &subs->list, struct self_sub, node) {
			if (sub->fresh && sq_hold_client(subs->hold) != NULL)
				self_first(self, sq_hold_client(subs->hold), sub);
			sub->fresh = false;
		}
	}
}

/* One copy for all the session's subscriptions that select the topic, with their
 * identifiers (MQTT 5.0 §3.3.4). */
static void
self_say(const struct sq_self_subs *subs, enum self_topic topic, int64_t value)
{
	struct sq_client *c = sq_hold_client(subs->hold);
	bool any = false, retain = false;
	uint32_t ids[IDS_MAX];
	size_t n = 0;

	SQ_LIST_FOR_EACH(sub, &subs->list, struct self_sub, node) {
		if (!sub_selects(sub, topic))
			continue;
		any = true;
		retain |= (sub->options & SQ_OPTION_AS_PUBLISHED) != 0;
		if (sub->sub_id != 0 && n < IDS_MAX)
			ids[n++] = sub->sub_id;
	}
	if (any && c != NULL)
		self_put(c, topic, value, retain, ids, n);
}

static void
self_on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct sq_self *self = w->data;
	int64_t v[TOPICS];

	(void)loop;
	(void)events;
	self_values(self, v);
	for (int i = 0; i < TOPICS; i++) {
		if (!sq_sys_tell_all(&self->told[i], v[i]))
			continue;
		SQ_LIST_FOR_EACH(subs, &self->all, struct sq_self_subs, node)
			self_say(subs, (enum self_topic)i, v[i]);
	}
}

/* --- subscriptions --- */

/* Whether it selects something of the sidecar's, for its own client alone. */
static bool
self_wanted(struct sq_bytes filter)
{
	struct sq_topic_filter f;

	if (!sq_sys_filter(filter) || sq_topic_filter_parse(filter, &f, NULL) != 0)
		return false;
	for (int i = 0; i < TOPICS; i++) {
		if (sq_topic_match(f.filter, sq_bytes_of(self_names[i])))
			return true;
	}
	return false;
}

static struct self_sub *
self_find(const struct sq_self_subs *subs, struct sq_bytes filter)
{
	if (subs == NULL)
		return NULL;
	SQ_LIST_FOR_EACH(sub, &subs->list, struct self_sub, node) {
		if (sub->len == filter.len && memcmp(sub->filter, filter.p, filter.len) == 0)
			return sub;
	}
	return NULL;
}

/* The first subscription of a hold. */
static struct sq_self_subs *
self_begin(struct sq_self *self, struct sq_hold *hold)
{
	struct sq_self_subs *subs = sq_xcalloc(1, sizeof *subs);

	subs->hold = hold;
	sq_list_init(&subs->list);
	if (sq_list_empty(&self->all))
		ev_timer_again(self->holds->loop->ev, &self->timer);
	sq_list_push_back(&self->all, &subs->node);
	return subs;
}

static struct self_sub *
self_add(struct sq_self_subs *subs, struct sq_bytes filter)
{
	struct self_sub *sub = sq_xcalloc(1, sizeof *sub + filter.len);

	sub->len = filter.len;
	memcpy(sub->filter, filter.p, filter.len);
	sq_list_push_back(&subs->list, &sub->node);
	return sub;
}

static void
self_on_made(void *watcher, struct sq_hold *hold, void **mine, const struct sq_sub *e, bool fresh)
{
	unsigned handling = sq_option_retain(e->options);
	struct sq_self *self = watcher;
	struct self_sub *sub;

	if (self->holds->cfg->sys_interval_ms == 0 || !self_wanted(e->filter))
		return;
	if (*mine == NULL)
		*mine = self_begin(self, hold);
	sub = self_find(*mine, e->filter);
	if (sub == NULL)
		sub = self_add(*mine, e->filter);
	sub->options = e->options;
	sub->sub_id = e->sub_id;
	sub->fresh = handling == SQ_RETAIN_ALWAYS || (handling == SQ_RETAIN_IF_NEW && fresh);
	if (sub->fresh)
		sq_loop_post(self->holds->loop, SQ_TURN_INPUT, &self->turn);
}

/* The last of the hold's is gone. */
static void
self_end(struct sq_self *self, void **mine)
{
	struct sq_self_subs *subs = *mine;

	sq_list_remove(&subs->node);
	free(subs);
	*mine = NULL;
	if (sq_list_empty(&self->all))
		ev_timer_stop(self->holds->loop->ev, &self->timer);
}

static void
self_on_unmade(void *watcher, void **mine, struct sq_bytes filter)
{
	struct sq_self_subs *subs = *mine;
	struct self_sub *sub = self_find(subs, filter);

	if (sub == NULL)
		return;
	sq_list_remove(&sub->node);
	free(sub);
	if (sq_list_empty(&subs->list))
		self_end(watcher, mine);
}

static void
self_on_forget(void *watcher, void **mine)
{
	struct sq_self_subs *subs = *mine;

	if (subs == NULL)
		return;
	SQ_LIST_FOR_EACH_SAFE(sub, &subs->list, struct self_sub, node) {
		sq_list_remove(&sub->node);
		free(sub);
	}
	self_end(watcher, mine);
}

static void
self_on_inherit(void *watcher, struct sq_hold *to, void **mine, void **theirs)
{
	struct sq_self_subs *subs = *theirs;

	(void)watcher;
	assert(*mine == NULL);
	*mine = subs;
	*theirs = NULL;
	if (subs != NULL)
		subs->hold = to;
}

static const struct sq_hold_watch self_watch = {
    .made = self_on_made,
    .unmade = self_on_unmade,
    .forget = self_on_forget,
    .inherit = self_on_inherit,
};

/* --- life --- */

struct sq_self *
sq_self_new(struct sq_holds *h, struct sq_clients *clients)
{
	double every_s = (double)h->cfg->sys_interval_ms / 1000.0;
	struct sq_self *self = sq_xcalloc(1, sizeof *self);

	self->holds = h;
	self->clients = clients;
	sq_holds_watch(h, &self_watch, self);
	self->start_ms = sq_holds_now(h);
	for (int i = 0; i < TOPICS; i++)
		self->told[i] = sq_sys_untold;
	sq_list_init(&self->all);
	sq_turn_init(&self->turn, self_on_turn);
	ev_timer_init(&self->timer, self_on_timer, every_s, every_s);
	self->timer.data = self;
	return self;
}

void
sq_self_free(struct sq_self **sp)
{
	struct sq_self *self = *sp;

	*sp = NULL;
	if (self == NULL)
		return;
	assert(sq_list_empty(&self->all));
	sq_turn_cancel(&self->turn);
	ev_timer_stop(self->holds->loop->ev, &self->timer);
	free(self);
}
