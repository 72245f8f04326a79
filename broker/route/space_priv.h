/* The layout of spaces and of the router, for the files of route/. */
#ifndef SQ_BROKER_ROUTE_SPACE_PRIV_H
#define SQ_BROKER_ROUTE_SPACE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/route/router.h"
#include "core/heap.h"
#include "core/htab.h"
#include "core/list.h"
#include "core/rwlock.h"

struct sq_space {
	struct sq_hnode node;
	struct sq_router *router;
	size_t refs; /* under the router's 'spaces_lock' */
	char *name;
	struct sq_space *home; /* the space whose lock it uses, mostly itself */
	struct sq_rwlock lock;
	uint64_t version; /* changes with its bindings, unique among spaces; under the lock */
	struct sq_topic_index *bindings;
	atomic_size_t n_bindings;
	size_t tagged; /* bindings that ask for a tag */
	/* In a space with a lock of its own: sinks with more than 'max_matches' bindings in all
	 * spaces under the lock; a sink's 'crowd' is its index here + 1. */
	struct sq_sink **crowded;
	size_t n_crowded, cap_crowded;
	pthread_mutex_t retained_lock;
	struct sq_topic_index *retained;
	struct sq_list retained_list;
	struct sq_htab retained_places; /* the same, by their topics: for walks */
	struct sq_heap expiries;        /* of retained messages */
	uint64_t retained_bytes;
	struct sq_account *account; /* of the retained messages; NULL: there never was one */
	/* Grants, constant after the start: to readers of this space, and of this space in others. */
	struct sq_list readers, reads;
};

/* A grant: 'reader' gets messages that 'filter' selects in 'from'. */
struct sq_grant {
	struct sq_list of_from, of_reader;
	struct sq_space *reader, *from;
	struct sq_bytes filter;
	unsigned char text[];
};

/* A retained message. */
struct sq_retained {
	struct sq_index_entry entry;
	struct sq_list node;
	struct sq_hnode place;
	struct sq_msg msg;
	struct sq_origin origin;
	uint64_t since_ms; /* when it was retained; 0: before the start */
	uint64_t expires_ms;
	struct sq_heap_node expiry;
	uint64_t number; /* rises with each message that is retained */
	uint64_t id;     /* of its record */
};

struct sq_router {
	struct sq_router_cfg cfg;
	struct sq_metrics metrics;
	struct sq_htab spaces; /* under 'spaces_lock' */
	size_t swept;          /* position of the sweep in it */
	pthread_mutex_t spaces_lock;
	uint64_t n_spaces; /* ever made */
	atomic_uint_fast64_t retained_number;
	/* Records without a message, found at the start and deleted by the sweep. */
	uint64_t *stale;
	size_t n_stale, cap_stale;
};

/* space.c: sets name and lock; 'home' is the space whose lock it uses, NULL: its own. */
void sq_space_init(struct sq_space *, struct sq_space *home, const char *name);
void sq_space_fini(struct sq_space *);
/* Lock the retained messages of the space for a slice: see sq_router_locked(). */
void sq_slice_lock(struct sq_space *);
void sq_slice_unlock(struct sq_space *);

/* grants.c: frees the grants from and to the space. */
void sq_grants_fini(struct sq_space *);

/* retained.c: the retained messages of a space. */
void sq_retained_init(struct sq_space *);
/* The number of retained messages of the space. */
size_t sq_retained_count(struct sq_space *);
/* Frees the retained messages of the space; their records stay. */
void sq_retained_fini(struct sq_router *, struct sq_space *);

/* For retained_all.c.  Locks: that of the space's retained messages is held, except at the
 * start. */
struct sq_record_key sq_retained_record(uint64_t id);
struct sq_retained *sq_retained_find(const struct sq_space *, const unsigned char *image);
/* Replaces the message of '*at' with 'm', or makes '*at' if it is NULL.  'force': regardless of the
 * space's share.  SQ_ENOMEM: the share is used up. */
int sq_retained_put(struct sq_router *, struct sq_space *, const struct sq_msg *m, bool force,
    struct sq_retained **at);
void sq_retained_set_expiry(struct sq_space *, struct sq_retained *, uint64_t expires_ms);
/* Frees a retained message; 'txn' deletes its record; NULL: the record stays. */
void
sq_retained_remove(struct sq_router *, struct sq_space *, struct sq_retained *, struct sq_txn *txn);

#endif
