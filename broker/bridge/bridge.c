#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/bridges_priv.h"
#include "broker/bridge/inward.h"
#include "broker/bridge/outward.h"
#include "core/log.h"
#include "core/mem.h"
#include "net/curl/shared.h"
#include "proto/json/write.h"
#include "web/worker.h"

enum {
	AGAIN_MS = 1000, /* after the first failure to open; each next one doubles it */
	AGAIN_MAX_MS = 60000,
	STATUS_MS = 1000,
};

struct sq_bridge *
sq_bridges_find(const struct sq_bridges_part *part, const char *space, const char *name)
{
	SQ_LIST_FOR_EACH(b, &part->list, struct sq_bridge, of_part) {
		if (strcmp(b->name, name) == 0 && strcmp(b->space, space) == 0)
			return b;
	}
	return NULL;
}

/* The environment of its halves. */

static void
bridge_post(void *owner, struct sq_task *t)
{
	const struct sq_bridge *b = owner;

	sq_worker_post(b->part->shard->worker, t);
}

static struct sq_out *
bridge_http(void *owner, struct sq_buf *err)
{
	const struct sq_bridge *b = owner;

	if (b->all->cfg.out != NULL)
		return sq_out_shared_get(b->all->cfg.out, err);
	sq_buf_printf(err, "there is nothing to send requests with");
	return NULL;
}

static void
bridge_state(void *owner, enum sq_bridge_half half, bool up, const char *why)
{
	struct sq_bridge *b = owner;

	b->status_ms = 0;
	sq_bridge_tell_state(&b->told, half, up, why);
}

static void
bridge_env(struct sq_bridge *b)
{
	b->env = (struct sq_bridge_env){.scope = b->told.scope,
	    .space = b->space,
	    .queue = b->queue,
	    .install = b->all->install_text,
	    .user_agent = b->all->cfg.user_agent,
	    .max_packet = b->all->broker->cfg.max_packet,
	    .creds = b->all->cfg.creds,
	    .post = bridge_post,
	    .http = bridge_http,
	    .state = bridge_state,
	    .owner = b};
}

struct sq_bridge *
sq_bridge_new(struct sq_bridges_part *part, const struct sq_bridge_said *said)
{
	struct sq_bridge *b = sq_xcalloc(1, sizeof *b);
	struct sq_bridges *all = part->all;
	struct sq_buf text = {0};

	b->all = all;
	b->part = part;
	b->now = (struct sq_bridge_said){sq_bridge_file_ref(said->file), said->cfg};
	b->name = sq_xstrdup(said->cfg->record.name);
	b->space = sq_xstrdup(said->cfg->space);
	sq_buf_printf(&text, SQ_QUEUE_OF_BRIDGES "%s", b->name);
	b->queue = sq_buf_take_text(&text);
	sq_buf_printf(&text, "bridge/%s", b->name);
	sq_buf_u8(&text, '\0');
	sq_bridge_told_init(&b->told, (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
	for (unsigned i = 0; i < SQ_BRIDGE_HALVES; i++)
		b->sides[i].of = b;
	bridge_env(b);
	sq_list_push_back(&part->list, &b->of_part);
	pthread_mutex_lock(&all->lock);
	b->paused = sq_bridges_is_paused(all, b->name);
	sq_list_push_back(&all->list, &b->of_all);
	all->n++;
	pthread_mutex_unlock(&all->lock);
	sq_broker_object(all->broker, 1);
	return b;
}

static void
bridge_free(struct sq_bridge *b)
{
	struct sq_bridges *all = b->all;
	struct sq_bridges_part *part = b->part;

	assert(b->out == NULL && b->in == NULL);
	if (b->s != NULL)
		*sq_subscriber_own(b->s, &all->user) = NULL;
	sq_list_remove(&b->of_part);
	pthread_mutex_lock(&all->lock);
	sq_list_remove(&b->of_all);
	all->n--;
	pthread_mutex_unlock(&all->lock);
	sq_bridge_file_unref(&b->now.file);
	sq_bridge_file_unref(&b->next.file);
	sq_bridge_told_fini(&b->told);
	for (unsigned i = 0; i < SQ_BRIDGE_HALVES; i++)
		free(b->sides[i].status);
	free(b->name);
	free(b->space);
	free(b->queue);
	free(b);
	if (part->stopped != NULL && sq_list_empty(&part->list)) {
		sq_worker_post(part->shard->worker, part->stopped);
		part->stopped = NULL;
	}
	sq_broker_object(all->broker, -1);
}

/* Opening. */

static bool
bridge_has(const struct sq_bridge *b, enum sq_bridge_half half)
{
	const struct sq_bridge_cfg *c = b->now.cfg;

	return half == SQ_BRIDGE_OUT ? c->out.n > 0 : c->in.n > 0;
}

static bool
bridge_held(const struct sq_bridge *b)
{
	return b->paused || b->part->draining;
}

static bool
bridge_open_out(struct sq_bridge *b, const struct sq_bridge_kind *kind, struct sq_buf *err)
{
	const struct sq_outward_cfg cfg = {.shard = b->part->shard,
	    .ops = kind->out,
	    .bridge = b->now.cfg,
	    .env = &b->env,
	    .told = &b->told,
	    .origin = b->all->install.hex,
	    .paused = bridge_held(b)};

	b->out = sq_outward_open(&cfg, err);
	if (b->out != NULL && b->s != NULL)
		sq_outward_serve(b->out, b->s->pull);
	return b->out != NULL;
}

static bool
bridge_open_in(struct sq_bridge *b, const struct sq_bridge_kind *kind, struct sq_buf *err)
{
	const struct sq_inward_cfg cfg = {.shard = b->part->shard,
	    .ops = kind->in,
	    .bridge = b->now.cfg,
	    .env = &b->env,
	    .told = &b->told,
	    .dedups = b->all->dedups,
	    .paused = bridge_held(b)};

	b->in = sq_inward_open(&cfg, err);
	return b->in != NULL;
}

/* It could not be opened: something of this machine is wrong. */
static void
bridge_failed(struct sq_bridge *b, enum sq_bridge_half half, const char *why)
{
	struct sq_bridge_side *side = &b->sides[half];
	uint64_t wait_ms = (uint64_t)AGAIN_MS << (side->fails < 6 ? side->fails : 6);

	sq_bridge_tell_state(&b->told, half, false, why);
	side->fails++;
	side->again_ms = sq_worker_now_ms(b->part->shard->worker) +
	    (wait_ms < AGAIN_MAX_MS ? wait_ms : AGAIN_MAX_MS);
}

static void
bridge_open(struct sq_bridge *b, enum sq_bridge_half half)
{
	const struct sq_bridge_kind *kind = b->all->cfg.kind(b->now.cfg->kind);
	struct sq_buf err = {0};
	bool good = false;

	if (kind == NULL || (half == SQ_BRIDGE_OUT ? kind->out == NULL : kind->in == NULL))
		sq_buf_printf(&err, "this program is built without %s",
		    sq_bridge_kind_names[b->now.cfg->kind]);
	else if (half == SQ_BRIDGE_OUT)
		good = bridge_open_out(b, kind, &err);
	else
		good = bridge_open_in(b, kind, &err);
	b->sides[half].open = good;
	sq_buf_u8(&err, '\0');
	if (good)
		b->sides[half].fails = 0;
	else
		bridge_failed(b, half, (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
}

/* Whether it may open anything: another of its name, which goes, has closed. */
static bool
bridge_may_live(struct sq_bridge *b)
{
	bool may = true;

	if (b->live) /* written on this worker alone */
		return true;
	pthread_mutex_lock(&b->all->lock);
	SQ_LIST_FOR_EACH(other, &b->all->list, struct sq_bridge, of_all)
		may = may && (other == b || !other->live || strcmp(other->name, b->name) != 0);
	b->live = may;
	pthread_mutex_unlock(&b->all->lock);
	return may;
}

static bool
bridge_is_open(const struct sq_bridge *b)
{
	return b->sides[SQ_BRIDGE_OUT].open || b->sides[SQ_BRIDGE_IN].open;
}

void
sq_bridge_look(struct sq_bridge *b, uint64_t now_ms)
{
	if (b->gone || b->next.cfg != NULL || b->part->stopped != NULL ||
	    sq_broker_closing(b->all->broker) ||
	    !atomic_load_explicit(&b->all->install.kept, memory_order_acquire) ||
	    !bridge_may_live(b))
		return;
	for (unsigned i = 0; i < SQ_BRIDGE_HALVES; i++) {
		struct sq_bridge_side *side = &b->sides[i];

		atomic_store(&b->told.has[i], bridge_has(b, i));
		if (bridge_has(b, i) && !side->open && now_ms >= side->again_ms)
			bridge_open(b, i);
	}
}

/* Closing. */

/* Nothing is open any more. */
static void
bridge_closed(struct sq_bridge *b)
{
	struct sq_bridge_file *old = NULL;

	pthread_mutex_lock(&b->all->lock);
	b->live = false;
	if (b->next.cfg != NULL) {
		old = b->now.file;
		b->now = b->next;
		b->next = (struct sq_bridge_said){0};
	}
	pthread_mutex_unlock(&b->all->lock);
	sq_bridge_file_unref(&old);
	for (unsigned i = 0; i < SQ_BRIDGE_HALVES; i++) {
		b->sides[i].again_ms = 0;
		b->sides[i].fails = 0;
	}
	if (b->gone || b->part->stopped != NULL)
		bridge_free(b);
	else
		sq_bridge_look(b, sq_worker_now_ms(b->part->shard->worker));
}

static void
bridge_half_closed(void *arg)
{
	struct sq_bridge_side *side = arg;
	struct sq_bridge *b = side->of;
	enum sq_bridge_half half = side == &b->sides[SQ_BRIDGE_OUT] ? SQ_BRIDGE_OUT : SQ_BRIDGE_IN;

	side->open = side->closes = false;
	if (half == SQ_BRIDGE_OUT)
		b->out = NULL;
	else
		b->in = NULL;
	sq_bridge_tell_closed(&b->told, half);
	if (!bridge_is_open(b))
		bridge_closed(b);
}

void
sq_bridge_close(struct sq_bridge *b, unsigned within_ms)
{
	if (!bridge_is_open(b)) {
		bridge_closed(b);
		return;
	}
	for (unsigned i = 0; i < SQ_BRIDGE_HALVES; i++) {
		struct sq_bridge_side *side = &b->sides[i];

		if (!side->open || side->closes)
			continue;
		side->closes = true;
		if (i == SQ_BRIDGE_OUT)
			sq_outward_close(b->out, within_ms, bridge_half_closed, side);
		else
			sq_inward_close(b->in, within_ms, bridge_half_closed, side);
	}
}

/* What passes. */

void
sq_bridge_hold(struct sq_bridge *b)
{
	bool held = bridge_held(b);

	if (b->out != NULL && !b->sides[SQ_BRIDGE_OUT].closes)
		sq_outward_pause(b->out, held);
	if (b->in != NULL && !b->sides[SQ_BRIDGE_IN].closes)
		sq_inward_pause(b->in, held);
}

void
sq_bridge_serve(struct sq_bridge *b, struct sq_subscriber *s)
{
	b->s = s;
	if (s != NULL && b->out != NULL)
		sq_outward_serve(b->out, s->pull);
}

bool
sq_bridge_idle(const struct sq_bridge *b)
{
	return (b->out == NULL || sq_outward_idle(b->out)) &&
	    (b->in == NULL || sq_inward_idle(b->in));
}

/* What its halves say of themselves, for other threads. */
static void
bridge_write_status(struct sq_bridge *b)
{
	for (unsigned i = 0; i < SQ_BRIDGE_HALVES; i++) {
		struct sq_buf text = {0};
		char *old, *now = NULL;

		if (i == SQ_BRIDGE_OUT && b->out != NULL)
			sq_outward_status(b->out, &text);
		else if (i == SQ_BRIDGE_IN && b->in != NULL)
			sq_inward_status(b->in, &text);
		if (sq_buf_len(&text) > 0)
			now = sq_buf_take_text(&text);
		sq_buf_fini(&text);
		pthread_mutex_lock(&b->told.lock);
		old = b->sides[i].status;
		b->sides[i].status = now;
		pthread_mutex_unlock(&b->told.lock);
		free(old);
	}
}

void
sq_bridge_tick(struct sq_bridge *b, uint64_t now_ms)
{
	if (b->out != NULL)
		sq_outward_tick(b->out, now_ms);
	if (b->in != NULL)
		sq_inward_tick(b->in, now_ms);
	if (now_ms >= b->status_ms + STATUS_MS) {
		b->status_ms = now_ms;
		bridge_write_status(b);
	}
	sq_bridge_look(b, now_ms);
}

static void
describe_half(struct sq_bridge *b, enum sq_bridge_half half, struct sq_buf *out)
{
	sq_buf_printf(out, ",\"%s\":{", sq_bridge_half_name(half));
	if (half == SQ_BRIDGE_OUT) {
		sq_buf_printf(out, "\"queue\":");
		sq_json_put_string(out, sq_bytes_of(b->queue));
		sq_buf_u8(out, ',');
	}
	sq_bridge_told_describe(&b->told, half, out);
	pthread_mutex_lock(&b->told.lock);
	if (b->sides[half].status != NULL)
		sq_buf_printf(out, ",%s", b->sides[half].status);
	pthread_mutex_unlock(&b->told.lock);
	sq_buf_u8(out, '}');
}

void
sq_bridge_describe(struct sq_bridge *b, struct sq_buf *out)
{
	const struct sq_bridge_cfg *c = b->now.cfg;

	sq_buf_printf(out, "{\"name\":");
	sq_json_put_string(out, sq_bytes_of(b->name));
	sq_buf_printf(out, ",\"space\":");
	sq_json_put_string(out, sq_bytes_of(b->space));
	sq_buf_printf(out, ",\"kind\":\"%s\",\"declaredAt\":", sq_bridge_kind_names[c->kind]);
	sq_json_put_string(out, sq_bytes_of(c->record.where));
	sq_buf_printf(out, ",\"paused\":%s", b->paused ? "true" : "false");
	for (unsigned i = 0; i < SQ_BRIDGE_HALVES; i++) {
		if (i == SQ_BRIDGE_OUT ? c->out.n > 0 : c->in.n > 0)
			describe_half(b, i, out);
	}
	sq_buf_u8(out, '}');
}
