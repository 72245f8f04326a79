/* The structs of bridges, for these files alone:
 *
 *   bridges.c          all of a broker: made, ticked, drained, stopped; what named queues call
 *   bridges_set.c      from files to bridges that open, change and go
 *   bridges_call.c     SQ_CALL_BRIDGE
 *   bridges_metrics.c  metrics
 *   bridge.c           one bridge: its halves open and close
 *   bridges_paused.c   which are paused, in the store
 *   bridges_plan.c     what files say at a time
 *
 * Each calls those below it.  On the bridge's worker, but where it is said. */
#ifndef SQ_BROKER_BRIDGE_BRIDGES_PRIV_H
#define SQ_BROKER_BRIDGE_BRIDGES_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/bridge/bridge.h"
#include "broker/bridge/bridges.h"
#include "broker/bridge/cfg.h"
#include "broker/bridge/dedup.h"
#include "broker/bridge/file.h"
#include "broker/bridge/install.h"
#include "broker/bridge/told.h"
#include "broker/shard/shard.h"
#include "broker/subscriber/table.h"
#include "broker/subscriber/user.h"
#include "core/list.h"
#include "core/task.h"
#include "proto/declaration/declaration.h"

struct sq_inward;
struct sq_outward;
struct sq_txn;

/* What files say at a time.  Immutable; a reference for each worker that carries it out. */
struct sq_bridges_plan {
	atomic_uint refs;
	bool whole;
	size_t n;
	struct sq_bridge_file *files[];
};

/* A configuration, and what keeps it; 'cfg' NULL: none. */
struct sq_bridge_said {
	struct sq_bridge_file *file; /* a reference */
	const struct sq_bridge_cfg *cfg;
};

struct sq_bridge;

/* One half. */
struct sq_bridge_side {
	struct sq_bridge *of;
	bool open, closes;
	uint64_t again_ms; /* when it may be opened, after that has failed */
	unsigned fails;    /* to open, in a row */
	char *status;      /* what it says of itself; under told's lock */
};

struct sq_bridge {
	struct sq_bridges *all;
	struct sq_bridges_part *part;
	struct sq_list of_part, of_all;
	char *name, *space, *queue; /* "bridge.NAME" */
	/* Written under the lock of all. */
	struct sq_bridge_said now;
	bool live;   /* something of it is open: no other of its name may be */
	bool paused; /* durably */
	/* The worker's. */
	struct sq_bridge_said next; /* once what is open has closed */
	bool gone;                  /* from the files */
	bool named;                 /* by the plan that is being carried out */
	struct sq_bridge_env env;
	struct sq_subscriber *s; /* its queue; NULL: it is not served */
	uint64_t
	    queue_again_ms; /* when its queue is declared again, which was refused; 0: it was not */
	uint64_t status_ms; /* when 'status' was written */
	struct sq_bridge_side sides[SQ_BRIDGE_HALVES];
	struct sq_outward *out;
	struct sq_inward *in;
	struct sq_bridge_told told;
};

/* Of one worker. */
struct sq_bridges_part {
	struct sq_bridges *all;
	struct sq_shard *shard;
	struct sq_list list; /* struct sq_bridge.of_part */
	bool draining;
	struct sq_task *stopped; /* posted when none is left; NULL: it is not stopped */
};

struct sq_bridges {
	struct sq_broker *broker;
	struct sq_bridges_cfg cfg;
	struct sq_subscribers_user user;
	struct sq_dedups *dedups;
	struct sq_install install;
	char *install_text;
	struct sq_bridges_part *parts; /* by the index of the worker */
	uint64_t swept_ms;             /* the first worker's */
	atomic_uint runs;              /* workers that carry a plan out */
	pthread_mutex_t lock;          /* of what follows */
	struct sq_list list;           /* struct sq_bridge.of_all */
	size_t n;
	struct sq_bridges_plan *plan; /* NULL: nothing was set yet */
	struct sq_strings paused;     /* names of bridges that are, whether they are there or not */
};

/* bridge.c */

/* Makes it, with nothing open.  'said' is copied, with a reference of its own. */
struct sq_bridge *sq_bridge_new(struct sq_bridges_part *, const struct sq_bridge_said *);
/* Opens what is to be open and is not, if it is time, and it may. */
void sq_bridge_look(struct sq_bridge *, uint64_t now_ms);
/* Closes what is open; then it opens by 'next' where that is there, or is freed where it is gone, or the
 * worker stops. */
void sq_bridge_close(struct sq_bridge *, unsigned within_ms);
/* Whether it is paused, or the broker drains, has changed. */
void sq_bridge_hold(struct sq_bridge *);
void sq_bridge_tick(struct sq_bridge *, uint64_t now_ms);
/* Its queue is served; or is not (NULL). */
void sq_bridge_serve(struct sq_bridge *, struct sq_subscriber *);
bool sq_bridge_idle(const struct sq_bridge *);
/* Appends a JSON object.  Thread: any.  Locks: that of all is held. */
void sq_bridge_describe(struct sq_bridge *, struct sq_buf *out);

/* The bridge of that name in that space on this worker; NULL: there is none. */
struct sq_bridge *
sq_bridges_find(const struct sq_bridges_part *, const char *space, const char *name);

/* bridges_set.c */

/* Has the queue be as the configuration says. */
void sq_bridge_declare(struct sq_bridge *);

/* bridges_paused.c */

/* Reads the store. */
int sq_bridges_paused_load(struct sq_bridges *) SQ_MUST_CHECK;
void sq_bridges_paused_free(struct sq_bridges *);
/* Locks: that of all is held. */
bool sq_bridges_is_paused(const struct sq_bridges *, const char *name);
/* Notes whether the bridge of that name is paused, and puts that into 'txn'.  Locks: its own. */
void sq_bridges_set_paused(struct sq_bridges *, const char *name, bool paused, struct sq_txn *txn);
/* Forgets those of bridges that the plan does not have.  On one worker. */
void
sq_bridges_paused_sweep(struct sq_bridges *, const struct sq_bridges_plan *, struct sq_shard *);

/* bridges_plan.c */

/* One reference. */
struct sq_bridges_plan *
sq_bridges_plan_new(struct sq_bridge_file *const *files, size_t n, bool whole);
struct sq_bridges_plan *sq_bridges_plan_ref(struct sq_bridges_plan *);
/* Gives a reference back, if there is one, and nulls the pointer. */
void sq_bridges_plan_unref(struct sq_bridges_plan **);
/* The i-th configuration of a file; NULL: it has no more. */
const struct sq_bridge_cfg *
sq_bridges_plan_cfg(const struct sq_bridges_plan *, size_t file, size_t i);
/* The configuration of that name, the first one; 'cfg' NULL: none. */
struct sq_bridge_said sq_bridges_plan_find(const struct sq_bridges_plan *, const char *name);

#endif
