#include "broker/route/retained.h"

#include <stdlib.h>
#include <string.h>

#include "broker/metrics/metrics.h"
#include "broker/engine/now.h"
#include "broker/engine/record.h"
#include "broker/route/space_priv.h"
#include "core/mem.h"
#include "core/wallclock.h"
#include "web/worker.h"

void
sq_retained_init(struct sq_space *s)
{
	s->retained = sq_topic_index_new();
	sq_list_init(&s->retained_list);
	pthread_mutex_init(&s->retained_lock, NULL);
}

/* Counts 'msgs' more, of 'bytes' more, in the space's account. */
static bool
retained_take(struct sq_router *r, struct sq_space *s, uint64_t msgs, uint64_t bytes, bool force)
{
	if (s->account == NULL && r->cfg.new_account != NULL)
		s->account = r->cfg.new_account(r->cfg.account_arg, s->name);
	if (s->account == NULL)
		return true;
	if (force) {
		sq_share_force(s->account, SQ_SHARE_RETAINED, msgs);
		sq_share_force(s->account, SQ_SHARE_RETAINED_BYTES, bytes);
		return true;
	}
	if (!sq_share_take(s->account, SQ_SHARE_RETAINED, msgs))
		return false;
	if (sq_share_take(s->account, SQ_SHARE_RETAINED_BYTES, bytes))
		return true;
	sq_share_give(s->account, SQ_SHARE_RETAINED, msgs);
	return false;
}

static void
retained_give(struct sq_space *s, uint64_t msgs, uint64_t bytes)
{
	if (s->account == NULL)
		return;
	sq_share_give(s->account, SQ_SHARE_RETAINED, msgs);
	sq_share_give(s->account, SQ_SHARE_RETAINED_BYTES, bytes);
}

struct sq_account *
sq_space_account(const struct sq_space *s)
{
	return s->account;
}

static void
retained_free(struct sq_router *r, struct sq_space *s, struct sq_retained *kept)
{
	int64_t size = sq_image_size(kept->msg.image);

	retained_give(s, 1, (uint64_t)size);
	s->retained_bytes -= (uint64_t)size;
	sq_metric_add(&r->metrics, SQ_M_RETAINED, -1);
	sq_topic_index_remove(s->retained, &kept->entry);
	sq_heap_remove(&s->expiries, &kept->expiry);
	sq_htab_remove(&s->retained_places, &kept->place);
	sq_list_remove(&kept->node);
	sq_msg_unref(&kept->msg);
	free(kept);
}

void
sq_retained_fini(struct sq_router *r, struct sq_space *s)
{
	SQ_LIST_FOR_EACH_SAFE(kept, &s->retained_list, struct sq_retained, node)
		retained_free(r, s, kept);
	sq_htab_fini(&s->retained_places);
	sq_heap_fini(&s->expiries);
	sq_topic_index_free(&s->retained);
	sq_account_free(&s->account);
	pthread_mutex_destroy(&s->retained_lock);
}

size_t
sq_retained_count(struct sq_space *s)
{
	size_t n;

	pthread_mutex_lock(&s->retained_lock);
	n = sq_topic_index_count(s->retained);
	pthread_mutex_unlock(&s->retained_lock);
	return n;
}

void
sq_space_retained(struct sq_space *s, uint64_t *n, uint64_t *bytes)
{
	pthread_mutex_lock(&s->retained_lock);
	*n = sq_topic_index_count(s->retained);
	*bytes = s->retained_bytes;
	pthread_mutex_unlock(&s->retained_lock);
}

bool
sq_space_retained_seek(struct sq_space *s, uint64_t *place, struct sq_retained_seen *out)
{
	struct sq_hnode *at;

	pthread_mutex_lock(&s->retained_lock);
	at = sq_htab_seek(&s->retained_places, *place);
	if (at != NULL) {
		const struct sq_retained *kept = SQ_CONTAINER_OF(at, struct sq_retained, place);

		*place = sq_hnode_place(at);
		*out = (struct sq_retained_seen){
		    sq_msg_ref(kept->msg), kept->since_ms, kept->expires_ms};
	}
	pthread_mutex_unlock(&s->retained_lock);
	return at != NULL;
}

struct sq_record_key
sq_retained_record(uint64_t id)
{
	return (struct sq_record_key){SQ_RECORD_RETAINED, id, 0};
}

/* The record: u64 expiry, wall-clock ms, 0 for never; the origin as u64
 * incarnation, u64 run, u64 number, u8 copy; u16 and the space; the image. */
static void
retained_write(const struct sq_space *s, const struct sq_retained *kept, struct sq_txn *txn)
{
	struct sq_record_key key = sq_retained_record(kept->id);
	struct sq_buf v = {0};

	sq_buf_u64(&v, sq_wallclock_from_mono(kept->expires_ms, sq_worker_now_ms(txn->worker)));
	sq_origin_put(&v, &kept->origin);
	sq_record_put_name(&v, s->name);
	sq_record_put_image(&v, &kept->msg);
	sq_record_write(txn, &key, &v);
}

void
sq_retained_set_expiry(struct sq_space *s, struct sq_retained *kept, uint64_t expires_ms)
{
	kept->expires_ms = expires_ms;
	if (expires_ms != 0)
		sq_heap_set(&s->expiries, &kept->expiry, expires_ms);
	else
		sq_heap_remove(&s->expiries, &kept->expiry);
}

int
sq_retained_put(struct sq_router *r, struct sq_space *s, const struct sq_msg *m, bool force,
    struct sq_retained **at)
{
	uint32_t size = sq_image_size(m->image), old_size = 0;
	struct sq_retained *kept = *at;

	if (kept != NULL)
		old_size = sq_image_size(kept->msg.image);
	if (!retained_take(
		r, s, kept == NULL ? 1 : 0, size > old_size ? size - old_size : 0, force))
		return SQ_ENOMEM;
	if (old_size > size)
		retained_give(s, 0, old_size - size);
	if (kept == NULL) {
		kept = sq_xcalloc(1, sizeof *kept);
		kept->expiry.owner = kept;
		sq_topic_index_insert(
		    s->retained, SQ_NO_TAG, sq_image_topic(m->image), &kept->entry);
		sq_list_push_back(&s->retained_list, &kept->node);
		sq_htab_insert(&s->retained_places, &kept->place,
		    sq_hash(sq_image_topic(m->image).p, sq_image_topic(m->image).len));
	} else {
		sq_msg_unref(&kept->msg);
	}
	sq_metric_add(&r->metrics, SQ_M_RETAINED, old_size == 0 ? 1 : 0);
	s->retained_bytes += size - (uint64_t)old_size;
	kept->msg = sq_msg_clone(m); /* it outlives its batch by far */
	*at = kept;
	return SQ_OK;
}

struct sq_retained *
sq_retained_find(const struct sq_space *s, const unsigned char *image)
{
	struct sq_index_entry *e = sq_topic_index_find(
	    s->retained, SQ_NO_TAG, sq_image_topic(image));

	return e != NULL ? SQ_CONTAINER_OF(e, struct sq_retained, entry) : NULL;
}

void
sq_retained_remove(
    struct sq_router *r, struct sq_space *s, struct sq_retained *kept, struct sq_txn *txn)
{
	struct sq_record_key key = sq_retained_record(kept->id);

	if (txn != NULL && kept->id != 0)
		sq_record_delete(txn, &key);
	retained_free(r, s, kept);
}

bool
sq_router_retain_take(
    struct sq_router *r, struct sq_space *s, const struct sq_msg *m, struct sq_retain_share *taken)
{
	struct sq_retain_share need = {1, sq_image_size(m->image)};
	const struct sq_retained *kept;
	bool fits;

	if (sq_image_payload(m->image).len == 0)
		return true; /* it removes one */
	pthread_mutex_lock(&s->retained_lock);
	kept = sq_retained_find(s, m->image);
	if (kept != NULL) {
		uint64_t old = sq_image_size(kept->msg.image);

		need.msgs = 0;
		need.bytes = need.bytes > old ? need.bytes - old : 0;
	}
	fits = retained_take(r, s, need.msgs, need.bytes, false);
	pthread_mutex_unlock(&s->retained_lock);
	if (fits) {
		taken->msgs += need.msgs;
		taken->bytes += need.bytes;
	}
	return fits;
}

void
sq_router_retain_give(struct sq_space *s, struct sq_retain_share *taken)
{
	pthread_mutex_lock(&s->retained_lock);
	retained_give(s, taken->msgs, taken->bytes);
	pthread_mutex_unlock(&s->retained_lock);
	*taken = (struct sq_retain_share){0};
}

int
sq_router_retain(struct sq_router *r, struct sq_space *s, const struct sq_msg *m,
    const struct sq_origin *origin, uint64_t expires_ms, bool force, struct sq_txn *txn,
    uint64_t *number)
{
	struct sq_retained *kept;
	int err = SQ_OK;

	*number = 0;
	pthread_mutex_lock(&s->retained_lock);
	kept = sq_retained_find(s, m->image);
	if (sq_image_payload(m->image).len > 0) {
		err = sq_retained_put(r, s, m, force, &kept);
		if (err == SQ_OK) {
			kept->number = atomic_fetch_add(&r->retained_number, 1) + 1;
			*number = kept->number;
			kept->since_ms = sq_engine_now_ms();
			kept->origin = *origin;
			kept->origin.copy = 1;
			sq_retained_set_expiry(s, kept, expires_ms);
			if (kept->id == 0 && r->cfg.new_id != NULL)
				kept->id = r->cfg.new_id(r->cfg.id_arg);
			if (txn != NULL && kept->id != 0)
				retained_write(s, kept, txn);
		}
	} else if (kept != NULL) {
		sq_retained_remove(r, s, kept, txn);
	}
	pthread_mutex_unlock(&s->retained_lock);
	return err;
}
