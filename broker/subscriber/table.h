/* The named queues of a broker, by space and name, and by the number of their group.
 *
 * A queue belongs to the worker that owns its group's queue: that one alone changes it, and reads it
 * without a lock.  Others read under the table's lock. */
#ifndef SQ_BROKER_SUBSCRIBER_TABLE_H
#define SQ_BROKER_SUBSCRIBER_TABLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/group/named.h"
#include "broker/port/queue.h"
#include "core/htab.h"
#include "core/list.h"
#include "proto/declaration/declaration.h"

struct sq_call;
struct sq_pull;
struct sq_pull_past;
struct sq_pulls;
struct sq_shard;
struct sq_subscribers;
struct sq_subscribers_user;

enum { SQ_SUBSCRIBERS_USERS = 2 };

/* A named queue. */
struct sq_subscriber {
	struct sq_hnode by_id; /* of its group */
	struct sq_list of_shard;
	struct sq_subscribers *all;
	struct sq_shard *shard; /* of its worker */
	struct sq_group *group; /* a reference, with the subscription that keeps it */
	uint64_t id;            /* of the group */
	char *space, *name;

	/* Written under the table's lock. */
	const struct sq_declaration *decl; /* a reference; see proto/declaration/kept.h */
	uint64_t revision;
	bool in_file, paused;
	bool owned;      /* declared by its owner: owned.h; in_file, too */
	char *declarer;  /* with whose rights the push's replies are published; NULL: nobody's */
	char *pause_why; /* for people; NULL: somebody asked for the pause, or there is none */

	struct sq_pull *pull; /* NULL: it is ending */

	/* The owner's alone. */
	void *own[SQ_SUBSCRIBERS_USERS]; /* of each user: user.h */
	uint64_t used_ms;                /* when somebody was last seen to use it */
	struct sq_removal *removing;     /* NULL: it stays */
	struct sq_list settles;          /* struct sq_call: they wait until that is certain */
	struct sq_pull_past *past;       /* of a pull that has ended; NULL: there is none */
};

/* Those of one worker. */
struct sq_subscribers_part {
	struct sq_list list;
	uint64_t looked_ms;      /* for expiry */
	uint64_t files_again_ms; /* when files.c tries again; 0: it need not */
	uint64_t quiet_ms;       /* no line about a denial is logged until then */
};

struct sq_subscribers {
	struct sq_broker *broker;
	const struct sq_subscribers_user *users[SQ_SUBSCRIBERS_USERS]; /* NULL behind the last */
	struct sq_pulls *pulls;
	pthread_mutex_t lock;
	struct sq_htab by_id;
	struct sq_subscriber **sorted; /* by space and name */
	size_t n, room;
	struct sq_subscribers_part *parts; /* by the index of the worker */
	struct sq_declared_files *files;   /* files.c; NULL: there are none */
	atomic_uint files_runs;            /* files.c: workers that carry some out */
	struct sq_buf orphans;             /* struct sq_record_key: load.c */
	/* Of a queue nobody is served any more: see serve.h. */
	void (*dismissed)(struct sq_subscriber *);
};

static inline struct sq_subscribers_part *
sq_subscribers_part(const struct sq_shard *sh)
{
	return &sh->broker->subscribers->parts[sh - sh->broker->shards];
}

/* Adds the queue of a group, of which it takes reference and subscription over, with a declaration,
 * which it takes over, too.  On its worker, or before workers turn. */
struct sq_subscriber *sq_subscriber_new(
    struct sq_subscribers *, struct sq_group *, struct sq_declaration *decl, uint64_t revision);
/* Removes and frees it.  Its group is ended (NULL), or is given back. */
void sq_subscriber_free(struct sq_subscriber **);

/* The queue of that name on this worker, which owns it; NULL: there is none. */
struct sq_subscriber *
sq_subscriber_find(const struct sq_shard *, const char *space, const char *name);
/* The shard that owns the queue of that name, or would.  Thread: any. */
struct sq_shard *
sq_subscribers_owner(const struct sq_subscribers *, const char *space, const char *name);
/* The shard that owns the queue with that number; NULL: there is none.  Thread: any.  Locks: its
 * own. */
struct sq_shard *sq_subscribers_owner_of(struct sq_subscribers *, uint64_t id);
/* The queue with that number on this worker, which owns it; NULL: there is none. */
struct sq_subscriber *sq_subscriber_by_id(const struct sq_shard *, uint64_t id);

/* Locks: the table's is held, for the next two. */

/* The place of the first queue of the space whose name is behind 'after' (NULL: any). */
size_t sq_subscribers_behind(const struct sq_subscribers *, const char *space, const char *after);
/* The queue there, if it is of that space; else NULL. */
const struct sq_subscriber *
sq_subscribers_at(const struct sq_subscribers *, const char *space, size_t place);

/* Whether a queue (NULL: there is none) has the revision that a call wants it to have: see struct
 * sq_queue_declare. */
static inline bool
sq_revision_is(const struct sq_subscriber *s, uint64_t wanted)
{
	return wanted == 0 || (s != NULL && (wanted == SQ_REVISION_ANY || wanted == s->revision));
}

#endif
