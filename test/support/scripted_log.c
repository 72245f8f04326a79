#include "scripted_log.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/mem.h"

enum { MAX_BYTES = 1 << 20 };

struct scripted {
	struct sq_log log;
	struct sq_log_cfg cfg;
	atomic_uint_fast64_t last, released;
	atomic_bool full, leased, rests;
	bool claimed;
	pthread_mutex_t lock;
	pthread_cond_t turn;
	struct sq_list appended;
	bool free;      /* nobody waits */
	unsigned waits; /* checkpoints that have come to mark(), */
	unsigned let;   /* that may go on, */
	unsigned ended; /* and that have ended */
};

struct script script;
uint64_t scripted_upto;
struct sq_log *scripted_opened;

static struct scripted *
scripted_of(const struct sq_log *l)
{
	return SQ_CONTAINER_OF((struct sq_log *)(uintptr_t)l, struct scripted, log);
}

void
script_clear(void)
{
	sq_buf_fini(&script.bytes);
	script = (struct script){0};
}

void
script_add(struct sq_buf *data)
{
	assert(script.n < SQ_ARRAY_LEN(script.ends));
	sq_buf_append(&script.bytes, sq_buf_data(data), sq_buf_len(data));
	script.ends[script.n++] = sq_buf_len(&script.bytes);
	sq_buf_fini(data);
}

static struct sq_bytes
script_record(uint64_t lsn)
{
	size_t from = lsn > 1 ? script.ends[lsn - 2] : 0;

	return (struct sq_bytes){sq_buf_data(&script.bytes) + from, script.ends[lsn - 1] - from};
}

int
scripted_deliver(struct sq_log *l)
{
	struct scripted *s = scripted_of(l);
	uint64_t lsn = s->last + 1;
	int rc;

	assert(lsn <= script.n);
	rc = s->cfg.applied(s->cfg.owner, lsn, script_record(lsn), NULL);
	if (rc == SQ_OK)
		s->last = lsn;
	return rc;
}

static int
scripted_open(struct sq_log **out, const struct sq_log_cfg *cfg, struct sq_buf *err)
{
	struct scripted *s = sq_xcalloc(1, sizeof *s);
	int rc = SQ_OK;

	(void)err;
	s->log.ops = &scripted_log;
	s->cfg = *cfg;
	s->last = cfg->from;
	s->leased = true;
	s->free = cfg->shared == NULL;
	sq_list_init(&s->appended);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->turn, NULL);
	*out = scripted_opened = &s->log;
	while (rc == SQ_OK && cfg->shared == NULL && s->last < scripted_upto)
		rc = scripted_deliver(&s->log);
	return rc;
}

static void
scripted_close(struct sq_log **lp)
{
	struct scripted *s = scripted_of(*lp);

	pthread_cond_destroy(&s->turn);
	pthread_mutex_destroy(&s->lock);
	free(s);
	*lp = NULL;
}

static void
scripted_claim(struct sq_log *l)
{
	struct scripted *s = scripted_of(l);

	s->claimed = true;
	if (s->cfg.shared == NULL)
		scripted_own(l, s->cfg.file.boots);
}

const struct sq_log_cfg *
scripted_cfg(const struct sq_log *l)
{
	return &scripted_of(l)->cfg;
}

bool
scripted_claimed(const struct sq_log *l)
{
	return scripted_of(l)->claimed;
}

void
scripted_own(struct sq_log *l, uint64_t epoch)
{
	struct scripted *s = scripted_of(l);

	s->cfg.role(s->cfg.owner, SQ_LOG_OWNS, epoch, NULL);
}

static void
take_appended(struct scripted *s, struct sq_list *out)
{
	sq_list_init(out);
	pthread_mutex_lock(&s->lock);
	sq_list_splice(out, &s->appended);
	pthread_mutex_unlock(&s->lock);
}

void
scripted_fence(struct sq_log *l)
{
	struct scripted *s = scripted_of(l);
	struct sq_list back;

	take_appended(s, &back);
	s->cfg.role(s->cfg.owner, SQ_LOG_FENCED, 99, &back);
}

static void
scripted_append(struct sq_log *l, struct sq_log_entry *e)
{
	struct scripted *s = scripted_of(l);

	pthread_mutex_lock(&s->lock);
	sq_list_push_back(&s->appended, &e->node);
	pthread_mutex_unlock(&s->lock);
}

void
scripted_commit(struct sq_log *l, struct sq_buf *out)
{
	struct scripted *s = scripted_of(l);
	struct sq_list entries;

	take_appended(s, &entries);
	if (sq_list_empty(&entries))
		return;
	SQ_LIST_FOR_EACH(e, &entries, struct sq_log_entry, node) {
		if (out != NULL)
			sq_buf_append(out, e->data.p, e->data.len);
	}
	s->last++;
	(void)s->cfg.applied(s->cfg.owner, s->last, (struct sq_bytes){0}, &entries);
}

static void
scripted_release(struct sq_log *l, uint64_t lsn)
{
	struct scripted *s = scripted_of(l);

	pthread_mutex_lock(&s->lock);
	s->released = lsn;
	s->ended++;
	pthread_cond_broadcast(&s->turn);
	pthread_mutex_unlock(&s->lock);
}

uint64_t
scripted_released(const struct sq_log *l)
{
	return scripted_of(l)->released;
}

static uint64_t
scripted_last(const struct sq_log *l)
{
	return scripted_of(l)->last;
}

static uint64_t
scripted_busy_ms(const struct sq_log *l)
{
	(void)l;
	return 0;
}

static uint64_t
scripted_used(const struct sq_log *l, uint64_t *max)
{
	struct scripted *s = scripted_of(l);

	*max = MAX_BYTES;
	if (s->cfg.shared == NULL || s->rests)
		return 0;
	return s->full ? MAX_BYTES : MAX_BYTES / 4 * 3;
}

static struct sq_log_mark
scripted_mark(const struct sq_log *l)
{
	struct scripted *s = scripted_of(l);

	pthread_mutex_lock(&s->lock);
	s->waits++;
	pthread_cond_broadcast(&s->turn);
	while (!s->free && s->let < s->waits)
		pthread_cond_wait(&s->turn, &s->lock);
	pthread_mutex_unlock(&s->lock);
	if (s->cfg.shared == NULL)
		return (struct sq_log_mark){0};
	return (struct sq_log_mark){s->last, s->last * 7};
}

/* Under the lock. */
static void
await_turn(struct scripted *s)
{
	s->rests = false;
	while (s->waits == s->let)
		pthread_cond_wait(&s->turn, &s->lock);
}

void
scripted_await(struct sq_log *l)
{
	struct scripted *s = scripted_of(l);

	pthread_mutex_lock(&s->lock);
	await_turn(s);
	pthread_mutex_unlock(&s->lock);
}

void
scripted_step(struct sq_log *l)
{
	struct scripted *s = scripted_of(l);

	pthread_mutex_lock(&s->lock);
	await_turn(s);
	s->let++;
	pthread_cond_broadcast(&s->turn);
	await_turn(s);
	pthread_mutex_unlock(&s->lock);
}

void
scripted_rest(struct sq_log *l)
{
	struct scripted *s = scripted_of(l);

	pthread_mutex_lock(&s->lock);
	await_turn(s);
	s->rests = true;
	s->let++;
	pthread_cond_broadcast(&s->turn);
	while (s->ended < s->let)
		pthread_cond_wait(&s->turn, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

void
scripted_free(struct sq_log *l)
{
	struct scripted *s = scripted_of(l);

	pthread_mutex_lock(&s->lock);
	s->free = true;
	pthread_cond_broadcast(&s->turn);
	pthread_mutex_unlock(&s->lock);
}

void
scripted_set_full(struct sq_log *l, bool full)
{
	scripted_of(l)->full = full;
}

void
scripted_set_leased(struct sq_log *l, bool leased)
{
	scripted_of(l)->leased = leased;
}

static bool
scripted_leased(const struct sq_log *l)
{
	return scripted_of(l)->leased;
}

const struct sq_log_ops scripted_log = {
    .name = "scripted",
    .open = scripted_open,
    .close = scripted_close,
    .claim = scripted_claim,
    .append = scripted_append,
    .release = scripted_release,
    .last = scripted_last,
    .busy_ms = scripted_busy_ms,
    .used = scripted_used,
    .mark = scripted_mark,
    .leased = scripted_leased,
};
