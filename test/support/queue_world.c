#include "queue_world.h"

#include "broker/auth/acl/acl.h"
#include "broker/engine/engines/engines.h"
#include "core/mem.h"
#include "temp_dir.h"

struct world w;
struct asker api;
struct publisher http;

static unsigned n_workers;
static struct sq_acl *(*make_rules)(void);

static const struct {
	const struct sq_engine_ops *engine;
	unsigned workers;
	bool files;
} worlds[] = {
    {&sq_engine_memory, 1, false},
    {&sq_engine_memory, 3, false},
    {&stored_engine, 1, false},
    {&stored_engine, 3, false},
    {&sq_engine_embedded, 3, true},
};

void
queue_world_begin(void)
{
	world_start(&w, n_workers);
	sq_broker_set_acl(w.broker, make_rules());
	api = (struct asker){&w, sq_identity_nobody(), "s"};
	http = (struct publisher){.world = &w, .who = sq_identity_nobody(), .space = "s"};
}

void
queue_world_end(void)
{
	sq_identity_unref(&api.who);
	sq_identity_unref(&http.who);
	world_stop(&w);
	cr_assert_eq(world_metric(SQ_M_PULL_LEASES), 0);
	cr_assert_eq(world_metric(SQ_M_DISPATCH_LANES), 0);
}

void
queue_world_restart(void)
{
	queue_world_end();
	queue_world_begin();
}

void
queue_world_crash(void)
{
	stored_engine_crash();
	stored_engine_hold(false);
	while (stored_engine_waiting() > 0)
		stored_engine_release();
	queue_world_restart();
}

bool
queue_world_durable(void)
{
	return w.cfg.engine->durable;
}

void
queue_world_init_stored(struct sq_acl *(*rules)(void), unsigned workers)
{
	stored_engine_reset();
	world_init(&w);
	w.cfg.engine = &stored_engine;
	n_workers = workers;
	make_rules = rules;
}

void
queue_world_stored(struct sq_acl *(*rules)(void))
{
	queue_world_init_stored(rules, 1);
	queue_world_begin();
}

void
queue_world_in_each(struct sq_acl *(*rules)(void), void (*fn)(void))
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(worlds); i++) {
		char *dir = NULL;

		queue_world_init_stored(rules, worlds[i].workers);
		w.cfg.engine = worlds[i].engine;
		if (worlds[i].files) {
			dir = temp_dir_new();
			w.cfg.store_dir = dir;
			w.cfg.journal_size = 1 << 20;
			w.cfg.store_max_size = 64 << 20;
			w.cfg.store_cache_size = 1 << 20;
			w.cfg.store_stall_ms = 10000;
		}
		queue_world_begin();
		fn();
		queue_world_end();
		if (dir != NULL)
			temp_dir_free(&dir);
	}
	stored_engine_reset();
}
