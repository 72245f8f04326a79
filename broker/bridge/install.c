#include "broker/bridge/install.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/record.h"
#include "broker/shard/shard.h"
#include "core/clock.h"
#include "core/mem.h"

enum { VALUE_SIZE = 8, NAME_MAX_SHOWN = 64 };

static const struct sq_record_key install_key = {SQ_RECORD_INSTALL, 0, 0};

struct load {
	uint64_t number;
	bool found, bad;
};

static void
install_load_one(void *arg, const struct sq_record_key *key, struct sq_bytes value)
{
	struct load *l = arg;

	(void)key;
	l->found = true;
	l->bad = value.len != VALUE_SIZE;
	if (!l->bad)
		l->number = sq_get64(value.p);
}

int
sq_install_load(struct sq_install *in, struct sq_engine *e)
{
	struct load l = {0};
	int err = e->ops->start.load(e, SQ_RECORD_INSTALL, install_load_one, &l);

	if (err != SQ_OK || l.bad)
		return err != SQ_OK ? err : SQ_EINVAL;
	in->number = l.found ? l.number : sq_random_u64();
	in->asked = l.found;
	atomic_init(&in->kept, l.found);
	snprintf(in->hex, sizeof in->hex, "%016llx", (unsigned long long)in->number);
	return SQ_OK;
}

/* The record is on its way. */
struct keep {
	struct sq_txn txn;
	struct sq_install *of;
	struct sq_broker *broker;
};

static void
keep_done(struct sq_txn *txn, int err)
{
	struct keep *k = SQ_CONTAINER_OF(txn, struct keep, txn);

	if (err == SQ_OK)
		atomic_store_explicit(&k->of->kept, true, memory_order_release);
	k->of->asked = err == SQ_OK;
	sq_broker_object(k->broker, -1);
	free(k);
}

bool
sq_install_keep(struct sq_install *in, struct sq_shard *sh)
{
	struct keep *k;
	struct sq_buf v = {0};

	if (atomic_load_explicit(&in->kept, memory_order_acquire))
		return true;
	if (in->asked)
		return false;
	in->asked = true;
	k = sq_xcalloc(1, sizeof *k);
	k->of = in;
	k->broker = sh->broker;
	k->txn.worker = sh->worker;
	k->txn.engine = sh->broker->engine;
	k->txn.done = keep_done;
	sq_broker_object(sh->broker, 1);
	sq_buf_u64(&v, in->number);
	sq_record_write(&k->txn, &install_key, &v);
	k->txn.engine->ops->txn.commit(&k->txn);
	return false;
}

void
sq_install_print(const struct sq_install *in, const char *name, struct sq_buf *out)
{
	for (size_t i = 0; name[i] != '\0' && i < NAME_MAX_SHOWN; i++)
		sq_buf_u8(out,
		    isalnum((unsigned char)name[i]) || strchr("._-", name[i]) != NULL
			? (unsigned char)name[i]
			: '-');
	sq_buf_printf(out, "-%s", in->hex);
}
