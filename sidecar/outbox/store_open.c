/* The life of a disk outbox: its ids, its journal and the replay, and its end; see store.h. */
#include "sidecar/outbox/store.h"

#include <assert.h>
#include <stdlib.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/mem.h"
#include "sidecar/outbox/id.h"
#include "sidecar/outbox/store_priv.h"
#include "store/dir.h"

enum {
	SEGMENT_MIN = 1 << 20,
	SEGMENT_MAX = 16 << 20,
	SEGMENTS = 16,      /* that the size is cut into */
	SEGMENTS_SPARE = 4, /* for states, and entries that are released late */
};

/* The file with the id of its session. */
#define SESSION_FILE "session"

/* --- from the journal's thread --- */

static void
store_committed(void *owner, uint64_t lsn, struct sq_list *entries)
{
	struct sq_outbox_store *st = owner;

	SQ_LIST_FOR_EACH(j, entries, struct sq_log_entry, node)
		SQ_CONTAINER_OF(j, struct sq_outbox_entry, journal)->lsn = lsn;
	pthread_mutex_lock(&st->news.mutex);
	sq_list_splice(&st->news.synced, entries);
	pthread_mutex_unlock(&st->news.mutex);
	st->cfg.wake(st->cfg.owner);
}

static void
store_stalled(void *owner, const char *why)
{
	struct sq_outbox_store *st = owner;

	pthread_mutex_lock(&st->news.mutex);
	sq_buf_fini(&st->news.stall);
	if (why != NULL)
		sq_buf_printf(&st->news.stall, "%s", why);
	pthread_mutex_unlock(&st->news.mutex);
	st->cfg.wake(st->cfg.owner);
}

/* --- opening --- */

static void
replay_message(struct sq_outbox_store *st, const unsigned char *p, struct sq_bytes client)
{
	st->tail.next_seq = sq_get64(p + SQ_OUTBOX_ENTRY_HEADER) + 1;
	st->tail.bytes = sq_get64(p + SQ_OUTBOX_ENTRY_HEADER + 8);
	if ((p[1] & SQ_OUTBOX_HOLDS) != 0)
		sq_outbox_held_add(&st->held, (const char *)client.p, client.len, sq_get16(p + 2));
}

static int
replay_state(struct sq_outbox_store *st, struct sq_bytes in)
{
	struct sq_outbox_state state;

	if (sq_outbox_state_get(&state, &st->held, in) != 0)
		return SQ_EINVAL;
	st->written.lsn = st->tail.last_lsn;
	st->behind.cursor.lsn = state.low;
	st->tail.next_seq = state.next_seq;
	st->tail.bytes = state.tail_bytes;
	sq_outbox_send_restore(&st->send, &state);
	return 0;
}

static int
replay_entry(struct sq_outbox_store *st, const unsigned char *p, size_t size)
{
	struct sq_bytes client = {0};
	size_t at;

	if (p[0] == SQ_OUTBOX_STATE)
		return replay_state(st,
		    (struct sq_bytes){p + SQ_OUTBOX_ENTRY_HEADER, size - SQ_OUTBOX_ENTRY_HEADER});
	if (p[0] == SQ_OUTBOX_AGAIN)
		return 0;
	at = sq_outbox_entry_client(p, size, &client);
	if (at == 0)
		return SQ_EINVAL;
	switch (p[0]) {
	case SQ_OUTBOX_MESSAGE:
		if (sq_image_check(p + at, size - at) != 0)
			return SQ_EINVAL;
		replay_message(st, p, client);
		return 0;
	case SQ_OUTBOX_RELEASE:
		sq_outbox_held_remove(
		    &st->held, (const char *)client.p, client.len, sq_get16(p + 2));
		return 0;
	case SQ_OUTBOX_FORGET:
		sq_outbox_held_forget(&st->held, (const char *)client.p, client.len);
		return 0;
	default:
		return SQ_EINVAL;
	}
}

static int
store_replay(void *owner, uint64_t lsn, struct sq_bytes data)
{
	struct sq_outbox_store *st = owner;

	if (st->behind.cursor.lsn == 0)
		st->behind.cursor.lsn = lsn;
	st->tail.last_lsn = lsn;
	for (size_t at = 0, size; at < data.len; at += size) {
		size = sq_outbox_entry_size(data.p + at, data.len - at);
		if (size == 0 || replay_entry(st, data.p + at, size) != 0) {
			st->behind.broken = true;
			return SQ_EINVAL;
		}
	}
	return 0;
}

/* Reads the store's id from its file, or draws it, and that of its session, which is the
 * same at first. */
static int
store_identify(struct sq_outbox_store *st, const char *dir, struct sq_buf *err)
{
	int rc = sq_outbox_id_read(dir, "id", &st->id, err);

	if (rc == SQ_ENOTFOUND)
		rc = sq_outbox_id_draw(dir, "id", &st->id, err);
	if (rc != SQ_OK)
		return rc;
	rc = sq_outbox_id_read(dir, SESSION_FILE, &st->session_id, err);
	if (rc == SQ_ENOTFOUND)
		st->session_id = st->id;
	return rc == SQ_ENOTFOUND ? SQ_OK : rc;
}

uint64_t
sq_outbox_store_id(const struct sq_outbox_store *st)
{
	return st->session_id;
}

int
sq_outbox_store_renew(struct sq_outbox_store *st, struct sq_buf *err)
{
	int rc = sq_outbox_id_draw(st->cfg.dir, SESSION_FILE, &st->session_id, err);

	if (rc != SQ_OK)
		return rc;
	sq_outbox_send_renew(&st->send);
	return SQ_OK;
}

static int
store_journal(struct sq_outbox_store *st, struct sq_buf *err)
{
	uint64_t segment = st->cfg.size / SEGMENTS, low;
	struct sq_journal_cfg jc = {.dir = st->cfg.dir,
	    .id = st->id,
	    .durability = SQ_DURABILITY_ALWAYS,
	    .committed = store_committed,
	    .stalled = store_stalled,
	    .owner = st};
	int rc;

	segment = segment < SEGMENT_MIN ? SEGMENT_MIN : segment;
	segment = segment > SEGMENT_MAX ? SEGMENT_MAX : segment;
	jc.segment_bytes = segment;
	/* A record is in one segment, which may end before it is full. */
	jc.max_segments = 2 * (unsigned)(st->cfg.size / segment) + SEGMENTS_SPARE;
	rc = sq_journal_open(&st->journal, &jc, 0, store_replay, err);
	if (rc == 0 && st->behind.broken) {
		sq_buf_printf(err, "%s: record %llu is not an outbox's", st->cfg.dir,
		    (unsigned long long)st->tail.last_lsn);
		sq_journal_close(&st->journal);
		return SQ_EINVAL;
	}
	if (rc != 0)
		return rc;
	if (st->behind.cursor.lsn == 0)
		st->behind.cursor.lsn = 1;
	st->behind.is = st->tail.next_seq > st->send.loaded_seq + 1;
	low = st->behind.cursor.lsn < st->written.lsn ? st->behind.cursor.lsn : st->written.lsn;
	if (low > 1)
		sq_journal_release(st->journal, low - 1);
	return 0;
}

int
sq_outbox_store_open(
    struct sq_outbox_store **out, const struct sq_outbox_store_cfg *cfg, struct sq_buf *err)
{
	struct sq_outbox_store *st = sq_xcalloc(1, sizeof *st);
	int rc = 0;

	st->cfg = *cfg;
	st->opened_size = cfg->size;
	st->cfg.dir = sq_xstrdup(cfg->dir);
	pthread_mutex_init(&st->news.mutex, NULL);
	sq_list_init(&st->news.synced);
	sq_list_init(&st->tail.appended);
	sq_outbox_send_init(&st->send, cfg->refused, cfg->owner);
	sq_outbox_held_init(&st->held);
	st->tail.next_seq = 1;
	st->behind.cursor.fd = -1;
	st->lock = sq_store_lock(cfg->dir, err);
	if (st->lock < 0)
		rc = st->lock;
	if (rc == 0)
		rc = store_identify(st, cfg->dir, err);
	if (rc == 0)
		rc = store_journal(st, err);
	*out = st;
	if (rc != 0)
		sq_outbox_store_close(out);
	return rc;
}

/* No thread is at work behind this. */
static void
store_close_journal(struct sq_outbox_store *st)
{
	if (st->written.dirty && sq_buf_len(&st->stalled) == 0 && sq_outbox_send_whole(&st->send))
		sq_outbox_store_write(st, false);
	sq_journal_cursor_fini(&st->behind.cursor);
	sq_journal_close(&st->journal);
}

void
sq_outbox_store_remove(struct sq_outbox_store **sp)
{
	struct sq_outbox_store *st = *sp;
	struct sq_buf why = {0};

	assert(sq_outbox_store_spent(st));
	store_close_journal(st);
	if (sq_store_remove(st->cfg.dir, &st->lock, &why) != SQ_OK)
		SQ_WARN("outbox", "%.*s", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	sq_outbox_store_close(sp);
}

void
sq_outbox_store_close(struct sq_outbox_store **sp)
{
	struct sq_outbox_store *st = *sp;

	*sp = NULL;
	if (st == NULL)
		return;
	if (st->journal != NULL)
		store_close_journal(st);
	SQ_LIST_FOR_EACH_SAFE(e, &st->tail.appended, struct sq_outbox_entry, all)
		sq_outbox_entry_free(e);
	sq_outbox_send_fini(&st->send);
	sq_store_unlock(&st->lock);
	sq_outbox_held_fini(&st->held);
	sq_buf_fini(&st->news.stall);
	sq_buf_fini(&st->stalled);
	sq_buf_fini(&st->behind.record);
	pthread_mutex_destroy(&st->news.mutex);
	free((void *)(uintptr_t)st->cfg.dir);
	free(st);
}
