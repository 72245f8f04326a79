#include <stdlib.h>
#include <string.h>

#include "broker/bridge/bridges_priv.h"
#include "broker/engine/record.h"
#include "broker/subscriber/ask.h"
#include "core/htab.h"
#include "core/log.h"
#include "core/mem.h"

enum { VERSION = 1 };

/* Any number does, as long as it is always the same. */
static const uint64_t key_0 = UINT64_C(0x73716d716f732062), key_1 = UINT64_C(0x7269646765730001);

static struct sq_record_key
paused_key(const char *name)
{
	return (struct sq_record_key){
	    SQ_RECORD_BRIDGE, sq_siphash(key_0, key_1, name, strlen(name)), 0};
}

/* The place of a name; as many as there are: none. */
static size_t
paused_find(const struct sq_bridges *all, const char *name)
{
	size_t i = 0;

	while (i < all->paused.n && strcmp(all->paused.v[i], name) != 0)
		i++;
	return i;
}

static void
paused_add(struct sq_bridges *all, char *name)
{
	all->paused.v = sq_xrealloc(all->paused.v, (all->paused.n + 1) * sizeof *all->paused.v);
	all->paused.v[all->paused.n++] = name;
}

static void
paused_remove(struct sq_bridges *all, size_t i)
{
	free(all->paused.v[i]);
	all->paused.v[i] = all->paused.v[--all->paused.n];
}

struct paused_load {
	struct sq_bridges *all;
	int err;
};

/* A bridge that is paused: u8 version, bytes16 its name. */
static void
paused_loaded(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct paused_load *l = arg;
	struct sq_reader r = sq_reader(value.p, value.len);
	uint8_t version = sq_read8(&r);
	char *name = sq_record_take_name(&r);

	if (!r.bad && version == VERSION && sq_reader_left(&r) == 0) {
		paused_add(l->all, name);
		return;
	}
	free(name);
	SQ_ERROR(
	    "store", "the record of bridge %016llx does not read", (unsigned long long)key->id);
	l->err = SQ_EINVAL;
}

int
sq_bridges_paused_load(struct sq_bridges *all)
{
	struct sq_engine *e = all->broker->engine;
	struct paused_load l = {.all = all};
	int err = e->ops->start.load(e, SQ_RECORD_BRIDGE, paused_loaded, &l);

	return err == SQ_OK ? l.err : err;
}

void
sq_bridges_paused_free(struct sq_bridges *all)
{
	while (all->paused.n > 0)
		paused_remove(all, 0);
	free(all->paused.v);
}

bool
sq_bridges_is_paused(const struct sq_bridges *all, const char *name)
{
	return paused_find(all, name) < all->paused.n;
}

void
sq_bridges_set_paused(struct sq_bridges *all, const char *name, bool paused, struct sq_txn *txn)
{
	struct sq_record_key key = paused_key(name);
	struct sq_buf v = {0};
	size_t i;

	pthread_mutex_lock(&all->lock);
	i = paused_find(all, name);
	if (paused && i == all->paused.n)
		paused_add(all, sq_xstrdup(name));
	else if (!paused && i < all->paused.n)
		paused_remove(all, i);
	pthread_mutex_unlock(&all->lock);
	if (paused) {
		sq_buf_u8(&v, VERSION);
		sq_record_put_name(&v, name);
		sq_record_write(txn, &key, &v);
	} else {
		sq_record_delete(txn, &key);
	}
}

/* A name that is paused, and not in the plan; NULL: there is none.  The caller frees it. */
static char *
paused_left(struct sq_bridges *all, const struct sq_bridges_plan *plan)
{
	char *name = NULL;

	pthread_mutex_lock(&all->lock);
	for (size_t i = 0; i < all->paused.n && name == NULL; i++) {
		if (sq_bridges_plan_find(plan, all->paused.v[i]).cfg == NULL)
			name = sq_xstrdup(all->paused.v[i]);
	}
	pthread_mutex_unlock(&all->lock);
	return name;
}

void
sq_bridges_paused_sweep(
    struct sq_bridges *all, const struct sq_bridges_plan *plan, struct sq_shard *sh)
{
	char *name;

	while ((name = paused_left(all, plan)) != NULL) {
		struct sq_ask_txn *a = sq_ask_txn_new(sh, NULL);

		sq_bridges_set_paused(all, name, false, &a->txn);
		sq_ask_txn_commit(a);
		free(name);
	}
}
