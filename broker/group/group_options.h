/* The options of a group's queue: the pods' declarations, and the choice among them.
 *
 * Pods of several revisions declare one group with different options.  Those of the greatest
 * (since, pod) among attached pods count; since is the time at which the pod's set was made, so the
 * newest revision wins in any order of attaches.  If that pod is away, its options stay for a
 * while, because its sidecar or this broker may be restarting; then the greatest of the attached
 * pods takes its place.  Without attached pods the last options stay.
 *
 * Pure: time is an argument, and nothing is stored or logged here. */
#ifndef SQ_BROKER_GROUP_GROUP_OPTIONS_H
#define SQ_BROKER_GROUP_GROUP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/htab.h"
#include "core/list.h"
#include "core/msg.h"
#include "proto/link/frame.h"

/* Declared options; 0 and SQ_OVERFLOW_DEFAULT for those not named. */
struct sq_options {
	uint32_t expiry_s, max_length, max_attempts;
	enum sq_overflow overflow;
	bool durable;
};

struct sq_options_set;

/* The declaration of one pod since a time. */
struct sq_declarer {
	struct sq_hnode node; /* by pod */
	struct sq_options_set *set;
	uint64_t since_ms; /* wall clock */
	unsigned refs;     /* subscriptions that hold it */
	bool counts;       /* it is the newest declaration of its pod */
	char pod[];
};

enum { SQ_OPTIONS_TOLD = 16 };

/* The change made by a choice. */
enum sq_chosen {
	SQ_CHOSEN_SAME,  /* nothing */
	SQ_CHOSEN_WORD,  /* another pod's declaration counts, with equal options */
	SQ_CHOSEN_OTHER, /* the options */
};

struct sq_group_options {
	/* The options in force and their pod; since 0: unknown. */
	struct sq_options now;
	uint64_t since_ms;
	char *pod;
	bool away; /* the pod is not attached, since 'away_ms' */
	uint64_t away_ms;
	/* The declarations of attached pods. */
	struct sq_htab declarers;
	struct sq_list sets;       /* the distinct sets of options among them */
	unsigned n_sets;           /* number of sets with a declaration that counts */
	struct sq_declarer *first; /* the greatest declaration that counts; NULL: none */
	/* Hashes of pairs of sets whose disagreement was reported; the oldest is overwritten. */
	uint64_t told[SQ_OPTIONS_TOLD];
	unsigned n_told;
};

bool sq_options_equal(const struct sq_options *, const struct sq_options *);
/* "expiry 60s, max-length default, ..": for people. */
void sq_options_print(const struct sq_options *, struct sq_buf *);

/* Begins with options in force, their pod, and the time since which it is away. */
void sq_group_options_init(struct sq_group_options *, const struct sq_options *, uint64_t since_ms,
    struct sq_bytes pod, uint64_t now_ms);
/* Sets options while no pod has declared any, for example those from before a restart. */
void sq_group_options_set(struct sq_group_options *, const struct sq_options *, uint64_t since_ms,
    struct sq_bytes pod, uint64_t now_ms);
/* Frees the content; no declaration is left. */
void sq_group_options_fini(struct sq_group_options *);

/* Adds a subscription with the declaration of that pod; 'since_ms' is not 0. */
struct sq_declarer *sq_declarer_join(
    struct sq_group_options *, const struct sq_options *, uint64_t since_ms, struct sq_bytes pod);
/* Removes a subscription's declaration, if any, and nulls the pointer: the subscription ends or
 * declares other options. */
void sq_declarer_leave(struct sq_group_options *, struct sq_declarer **);

/* Chooses the options that count; a pod that is away keeps its place for 'wait_ms'.  Called after
 * every change of declarations, and when sq_group_options_due(). */
enum sq_chosen
sq_group_options_choose(struct sq_group_options *, uint64_t now_ms, uint64_t wait_ms) SQ_MUST_CHECK;
/* Whether another pod takes the place of the absent one now. */
bool sq_group_options_due(const struct sq_group_options *, uint64_t now_ms, uint64_t wait_ms);
/* Whether attached pods have declared different options. */
bool sq_group_options_disagree(const struct sq_group_options *);
/* A declaration that disagrees with the first one and was not reported yet; it counts as reported
 * from now on.  NULL: there is none. */
const struct sq_declarer *sq_group_options_tell(struct sq_group_options *);
const struct sq_options *sq_declarer_options(const struct sq_declarer *);

#endif
