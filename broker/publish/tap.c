/* Taps; see broker/publish/tap.h. */
#include "broker/publish/tap.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/identity.h"
#include "broker/group/message_view.h"
#include "broker/publish/message.h"
#include "broker/publish/options.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/topic/tags.h"
#include "proto/topic/topic.h"

struct tap {
	uint64_t id; /* 0: the place is free */
	char *owner, *filter, *space;
	bool payloads;
	struct sq_topic_filter parsed; /* views into 'filter' */
	uint64_t asked_ms;             /* when its owner was last there */
	uint64_t seen;                 /* messages */
	uint64_t lost_all, lost;       /* of them, without room: in all, since the last question */
	struct sq_list ring;           /* struct sq_tapped, the oldest first */
	size_t n, bytes;
};

struct sq_taps_kept {
	pthread_mutex_t lock;
	struct tap v[SQ_TAPS_MAX];
};

struct sq_taps *
sq_taps_new(void)
{
	struct sq_taps *t = sq_xcalloc(1, sizeof *t);

	t->kept = sq_xcalloc(1, sizeof *t->kept);
	pthread_mutex_init(&t->kept->lock, NULL);
	for (size_t i = 0; i < SQ_TAPS_MAX; i++)
		sq_list_init(&t->kept->v[i].ring);
	return t;
}

void
sq_tapped_free(struct sq_list *all)
{
	while (!sq_list_empty(all)) {
		struct sq_tapped *m = SQ_LIST_FIRST(all, struct sq_tapped, node);

		sq_list_remove(&m->node);
		free(m);
	}
}

/* Under the lock. */
static void
tap_end(struct sq_taps *t, struct tap *tap, const char *why)
{
	SQ_INFO("tap", "of %s ended, %s: %llu messages of %s seen, %llu of them not shown",
	    tap->owner, why, (unsigned long long)tap->seen, tap->filter,
	    (unsigned long long)tap->lost_all);
	sq_tapped_free(&tap->ring);
	free(tap->owner);
	free(tap->filter);
	free(tap->space);
	*tap = (struct tap){0};
	sq_list_init(&tap->ring);
	atomic_fetch_sub(&t->open, 1);
}

void
sq_taps_free(struct sq_taps **tp)
{
	struct sq_taps *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	for (size_t i = 0; i < SQ_TAPS_MAX; i++)
		if (t->kept->v[i].id != 0)
			tap_end(t, &t->kept->v[i], "the broker ends");
	pthread_mutex_destroy(&t->kept->lock);
	free(t->kept);
	free(t);
}

/* ---- messages ---- */

static bool
tap_wants(const struct tap *tap, const struct sq_publish *p)
{
	struct sq_bytes topic = sq_image_topic(p->msg->image);

	return tap->id != 0 &&
	    (tap->space == NULL || strcmp(tap->space, sq_tenant_name(p->tenant)) == 0) &&
	    sq_topic_match(tap->parsed.filter, topic) &&
	    (tap->parsed.tag.len == 0 ||
		sq_tags_have(sq_image_props(p->msg->image), tap->parsed.tag));
}

/* Copies the text behind the others. */
static void
tap_copy(struct sq_tapped *m, struct sq_bytes *out, struct sq_bytes in)
{
	if (in.len == 0)
		return;
	memcpy(m->text + m->size, in.p, in.len);
	*out = (struct sq_bytes){m->text + m->size, in.len};
	m->size += in.len;
}

static void
tap_keep(struct tap *tap, const struct sq_publish *p, uint8_t reason)
{
	const unsigned char *image = p->msg->image;
	const struct sq_identity *who = p->from.of.identity;
	struct sq_bytes topic = sq_image_topic(image), payload = sq_image_payload(image);
	struct sq_bytes key = sq_message_key(image), space = sq_bytes_of(sq_tenant_name(p->tenant));
	struct sq_bytes session = sq_bytes_of(p->from.own ? NULL : p->from.of.name);
	struct sq_bytes name = sq_bytes_of(who != NULL ? who->name : NULL);
	uint32_t payload_bytes = (uint32_t)payload.len;
	struct sq_tapped *m;
	size_t size;

	payload.len = !tap->payloads           ? 0
	    : payload.len < SQ_TAP_PAYLOAD_MAX ? payload.len
					       : SQ_TAP_PAYLOAD_MAX;
	size = topic.len + payload.len + key.len + space.len + session.len + name.len;
	tap->seen++;
	if (tap->n == SQ_TAP_MESSAGES_MAX || tap->bytes + size > SQ_TAP_BYTES_MAX) {
		tap->lost++;
		tap->lost_all++;
		return;
	}
	m = sq_xmalloc(sizeof *m + size);
	*m = (struct sq_tapped){
	    .wall_ms = sq_clock_wall_ms(),
	    .targets = p->n,
	    .bytes = sq_image_size(image),
	    .qos = p->assured ? 3 : p->qos,
	    .reason = reason,
	    .retain = sq_image_retain(image),
	    .cut = payload.len > 0 && payload.len < payload_bytes,
	    .payload_bytes = payload_bytes,
	};
	tap_copy(m, &m->space, space);
	tap_copy(m, &m->topic, topic);
	tap_copy(m, &m->identity, name);
	tap_copy(m, &m->session, session);
	tap_copy(m, &m->key, key);
	tap_copy(m, &m->payload, payload);
	sq_list_push_back(&tap->ring, &m->node);
	tap->n++;
	tap->bytes += size;
}

void
sq_taps_see(struct sq_taps *t, const struct sq_publish *p, uint8_t reason)
{
	struct sq_taps_kept *k = t->kept;

	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < SQ_TAPS_MAX; i++)
		if (tap_wants(&k->v[i], p))
			tap_keep(&k->v[i], p, reason);
	pthread_mutex_unlock(&k->lock);
}

/* ---- owners ---- */

/* The tap of that id, under the lock; NULL: there is none. */
static struct tap *
taps_find(const struct sq_taps *t, uint64_t id)
{
	for (size_t i = 0; i < SQ_TAPS_MAX && id != 0; i++)
		if (t->kept->v[i].id == id)
			return &t->kept->v[i];
	return NULL;
}

/* A free place for a tap of that space (NULL: of all), under the lock; NULL: there is none. */
static struct tap *
taps_free_place(const struct sq_taps *t, const char *space)
{
	struct tap *place = NULL;
	unsigned same = 0;

	for (size_t i = 0; i < SQ_TAPS_MAX; i++) {
		struct tap *tap = &t->kept->v[i];

		if (tap->id == 0)
			place = tap;
		else if (space != NULL && tap->space != NULL && strcmp(tap->space, space) == 0)
			same++;
	}
	return same < SQ_TAPS_SPACE_MAX ? place : NULL;
}

int
sq_taps_open(struct sq_taps *t, const struct sq_tap_cfg *cfg, uint64_t now_ms, uint64_t *id)
{
	struct tap fresh = {
	    .id = sq_random_u64(),
	    .owner = sq_xstrdup(cfg->owner),
	    .filter = sq_xstrdup(cfg->filter),
	    .space = cfg->space != NULL ? sq_xstrdup(cfg->space) : NULL,
	    .payloads = cfg->payloads,
	    .asked_ms = now_ms,
	};
	int rc = sq_topic_filter_parse(sq_bytes_of(fresh.filter), &fresh.parsed, NULL);
	struct tap *place = NULL;

	if (rc == SQ_OK && fresh.parsed.share.len == 0) {
		pthread_mutex_lock(&t->kept->lock);
		place = taps_free_place(t, fresh.space);
		if (place != NULL) {
			*place = fresh;
			sq_list_init(&place->ring);
			*id = fresh.id;
			atomic_fetch_add(&t->open, 1);
		}
		pthread_mutex_unlock(&t->kept->lock);
		rc = place != NULL ? SQ_OK : SQ_ENOMEM;
	} else {
		rc = SQ_EINVAL;
	}
	if (rc == SQ_OK) {
		SQ_INFO("tap", "opened by %s: %s, %s%s, %s payloads", cfg->owner, cfg->filter,
		    cfg->space != NULL ? "of space " : "of all spaces",
		    cfg->space != NULL ? cfg->space : "", cfg->payloads ? "with" : "without");
		return SQ_OK;
	}
	free(fresh.owner);
	free(fresh.filter);
	free(fresh.space);
	return rc;
}

bool
sq_taps_look(struct sq_taps *t, uint64_t id, struct sq_tap_cfg *cfg)
{
	const struct tap *tap;

	pthread_mutex_lock(&t->kept->lock);
	tap = taps_find(t, id);
	if (tap != NULL)
		*cfg = (struct sq_tap_cfg){
		    .owner = sq_xstrdup(tap->owner),
		    .filter = sq_xstrdup(tap->filter),
		    .space = tap->space != NULL ? sq_xstrdup(tap->space) : NULL,
		    .payloads = tap->payloads,
		};
	pthread_mutex_unlock(&t->kept->lock);
	return tap != NULL;
}

void
sq_tap_cfg_fini(struct sq_tap_cfg *cfg)
{
	free((char *)cfg->owner);
	free((char *)cfg->filter);
	free((char *)cfg->space);
	*cfg = (struct sq_tap_cfg){0};
}

bool
sq_taps_take(struct sq_taps *t, uint64_t id, uint64_t now_ms, size_t bytes, struct sq_list *out,
    uint64_t *lost)
{
	struct tap *tap;
	size_t taken = 0;

	pthread_mutex_lock(&t->kept->lock);
	tap = taps_find(t, id);
	while (tap != NULL && !sq_list_empty(&tap->ring)) {
		struct sq_tapped *m = SQ_LIST_FIRST(&tap->ring, struct sq_tapped, node);

		if (taken > 0 && taken + m->size > bytes)
			break;
		taken += m->size;
		sq_list_remove(&m->node);
		sq_list_push_back(out, &m->node);
		tap->n--;
		tap->bytes -= m->size;
	}
	if (tap != NULL) {
		*lost = tap->lost;
		tap->lost = 0;
		tap->asked_ms = now_ms;
	}
	pthread_mutex_unlock(&t->kept->lock);
	return tap != NULL;
}

bool
sq_taps_close(struct sq_taps *t, uint64_t id)
{
	struct tap *tap;

	pthread_mutex_lock(&t->kept->lock);
	tap = taps_find(t, id);
	if (tap != NULL)
		tap_end(t, tap, "closed by its owner");
	pthread_mutex_unlock(&t->kept->lock);
	return tap != NULL;
}

void
sq_taps_tick(struct sq_taps *t, uint64_t now_ms)
{
	struct sq_taps_kept *k = t->kept;
	char why[64];

	if (!sq_taps_any(t))
		return;
	snprintf(why, sizeof why, "nobody has asked for %d s", SQ_TAP_IDLE_MS / 1000);
	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < SQ_TAPS_MAX; i++)
		if (k->v[i].id != 0 && now_ms >= k->v[i].asked_ms + SQ_TAP_IDLE_MS)
			tap_end(t, &k->v[i], why);
	pthread_mutex_unlock(&k->lock);
}
