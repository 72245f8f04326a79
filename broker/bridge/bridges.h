/* The bridges of a broker (docs/bridges.md), each at home on the worker that owns its queue.
 *
 *   broker/config --set()--> bridges --> bridge --+-- out half: taker of queue "bridge.NAME", forwarder
 *                                                 +-- in half: inlet, publisher
 *
 * A bridge that has 'out' has the named queue "bridge.NAME" of its space, which set() declares, as a file
 * would.  A bridge that is gone from the files closes; its queue has no bindings any more, and ends when
 * it is empty. */
#ifndef SQ_BROKER_BRIDGE_BRIDGES_H
#define SQ_BROKER_BRIDGE_BRIDGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_bridge_file;
struct sq_bridge_kind;
struct sq_bridges;
struct sq_broker;
struct sq_call;
struct sq_creds;
struct sq_out_shared;
struct sq_shard;
struct sq_subscribers_user;
struct sq_task;

struct sq_bridges_cfg {
	/* Who this is, for people, in hops: A-Z a-z 0-9 . _ -; what makes it unique follows by itself. */
	const char *install;
	const char *user_agent;
	size_t metrics_bridges; /* that metrics show by name */
	/* The kind of sq_bridge_kind_names[i]; NULL: it is not built in. */
	const struct sq_bridge_kind *(*kind)(unsigned i);
	struct sq_out_shared *out; /* NULL: none */
	struct sq_creds *creds;    /* NULL: none */
};

/* Makes it, without a bridge, a thread, or anything of note.  'b', and what 'cfg' points to, outlive
 * it. */
struct sq_bridges *sq_bridges_new(struct sq_broker *b, const struct sq_bridges_cfg *cfg);
/* Reads what the store has of bridges; before workers turn.  Returns the engine's error; SQ_EINVAL: a
 * record does not read. */
int sq_bridges_load(struct sq_bridges *) SQ_MUST_CHECK;
/* After the workers have ended. */
void sq_bridges_free(struct sq_bridges **);
/* What named queues call; of sq_subscribers_add_user(). */
const struct sq_subscribers_user *sq_bridges_user(struct sq_bridges *);

/* Has the bridges be those of the files, all of them checked, of two of one name the first: one that is as it was goes
 * on untouched, one that differs closes and opens again, and what is new opens.  'whole': these are all,
 * and others go.  References are the caller's.  A line of the log says each change.  Thread: one. */
void sq_bridges_set(struct sq_bridges *, struct sq_bridge_file *const *files, size_t n, bool whole);
/* Whether the queues of what was set last are there, or were refused, which the log says and which is
 * tried again: at the start, before anybody publishes what would pass them by.  Thread: any. */
bool sq_bridges_are_set(const struct sq_bridges *);

/* Times that are over.  On each worker, each tick. */
void sq_bridges_tick(struct sq_bridges *, unsigned worker, uint64_t now_ms);
/* Takes nothing more from queues and from peers: the broker ends soon.  On each worker, each tick while it
 * drains. */
void sq_bridges_drain(struct sq_bridges *, unsigned worker);
/* Whether nothing is out or on its way in any more.  After sq_bridges_drain(), on each worker. */
bool sq_bridges_idle(const struct sq_bridges *, unsigned worker);
/* Closes all, within a bounded time, and then has 'stopped' run on the worker: what peers accept until then
 * is settled, so queues end later.  On each worker, once. */
void sq_bridges_stop(struct sq_bridges *, unsigned worker, struct sq_task *stopped);

/* The worker of a SQ_CALL_BRIDGE.  Thread: any. */
struct sq_shard *sq_bridges_shard(struct sq_bridges *, const struct sq_call *);
/* Carries one out; takes it over.  'bs' NULL: there are no bridges.  On that worker. */
void sq_bridges_call(struct sq_bridges *bs, struct sq_shard *, struct sq_call *);

/* Appends metrics by bridge.  Thread: any. */
void sq_bridges_write_metrics(struct sq_bridges *, struct sq_buf *out);

#endif
