#include "broker/config/bridge_live.h"

#include <stdlib.h>
#include <time.h>

#include "broker/bridge/bridges.h"
#include "broker/bridge/kinds/kinds.h"
#include "broker/config/bridge_dir.h"
#include "broker/config/config.h"
#include "broker/config/file_dir.h"
#include "broker/config/push_live.h"
#include "broker/push/push.h"
#include "core/mem.h"

struct sq_bridge_live {
	struct sq_bridge_dir *dir;
	struct sq_bridges_cfg cfg;
};

struct sq_bridge_live *
sq_bridge_live_new(const struct sq_broker_config *c, const struct sq_push_live *push)
{
	struct sq_bridge_live *live = sq_xcalloc(1, sizeof *live);

	live->dir = sq_bridge_dir_new(c->bridges_dir);
	live->cfg = (struct sq_bridges_cfg){
	    .install = sq_push_live_cfg(push)->install,
	    .user_agent = "sqmqos/" SQ_VERSION,
	    .metrics_bridges = (size_t)c->metrics_queues,
	    .kind = sq_bridge_kind,
	    .out = sq_push_live_out(push),
	    .creds = sq_push_live_creds(push),
	};
	return live;
}

void
sq_bridge_live_free(struct sq_bridge_live **lp)
{
	struct sq_bridge_live *live = *lp;

	*lp = NULL;
	if (live == NULL)
		return;
	sq_bridge_dir_free(&live->dir);
	free(live);
}

const struct sq_bridges_cfg *
sq_bridge_live_cfg(const struct sq_bridge_live *live)
{
	return &live->cfg;
}

static void
bridge_live_set(struct sq_bridge_live *live, struct sq_bridges *to)
{
	struct sq_bridge_file *const *files;
	bool whole;
	size_t n = sq_bridge_dir_files(live->dir, &files, &whole);

	sq_bridges_set(to, files, n, whole);
}

/* Whether anything is new. */
static bool
bridge_live_looks(struct sq_bridge_live *live, bool asked)
{
	struct sq_buf err = {0};
	bool is_new = sq_bridge_dir_look(live->dir, asked, &err);

	if (sq_buf_len(&err) > 0)
		sq_file_dir_say(&err);
	sq_buf_fini(&err);
	return is_new;
}

void
sq_bridge_live_look(struct sq_bridge_live *live, struct sq_bridges *to, bool asked)
{
	if (bridge_live_looks(live, asked))
		bridge_live_set(live, to);
}

void
sq_bridge_live_begin(struct sq_bridge_live *live, struct sq_bridges *to, const _Atomic bool *end)
{
	const struct timespec poll = {0, 1000000};

	(void)bridge_live_looks(live, true);
	bridge_live_set(
	    live, to); /* also where there is no folder: queues of bridges that are gone */
	while (!sq_bridges_are_set(to) && !*end)
		nanosleep(&poll, NULL);
}
