/* A slot of a user of the crew on one worker: a turn in the loop and, for HTTP, an h2o context
 * there.  The user embeds one in its part of each worker. */
#ifndef SQ_WEB_SLOT_H
#define SQ_WEB_SLOT_H

#include <stdint.h>

#include "core/list.h"

struct sq_crew_slot;
struct sq_worker;
struct st_h2o_context_t;
struct st_h2o_globalconf_t;

/* Events for the user, on the worker's thread; none opens a slot. */
struct sq_crew_slot_user {
	/* The slot is open, before anything else; may be NULL. */
	void (*opened)(struct sq_crew_slot *);
	/* At once behind 'opened', then about every 100 ms; may be NULL. */
	void (*tick)(struct sq_crew_slot *, uint64_t now_ms);
	/* At the end of each turn: the turn's tasks have run and their answers are with the
	 * sockets, which have not been polled since; may be NULL. */
	void (*turned)(struct sq_crew_slot *);
};

struct sq_crew_slot {
	struct sq_list node; /* the worker's */
	struct sq_worker *worker;
	const struct sq_crew_slot_user *user;
	struct st_h2o_context_t *ctx; /* NULL: no configuration, or not open */
};

/* Opens a slot on 'worker' and waits for that; zeroed before.  'conf' is complete; NULL: the user
 * has no sockets.  The slot is open until sq_crew_free() closes it: until then slot and 'conf'
 * stay, and by then the slot's connections and listening sockets are closed.  Thread: not a
 * worker's. */
void sq_crew_slot_open(struct sq_crew_slot *, struct sq_worker *worker,
    const struct sq_crew_slot_user *, struct st_h2o_globalconf_t *conf);

#endif
