/* The options of a group's queue: what its pods declare, and whose word counts.
 *
 * Pods of several revisions declare one group with different options.  Those of the
 * greatest (since, pod) among its attached pods count: since is when the pod's set came
 * into being, so the newest revision wins whatever the order of attaches.  Where the pod
 * whose options count is away, they stay for a while, for it may only be on its way back
 * (its sidecar or this broker was started again); then the greatest of those that are
 * there takes its place.  With nobody there the last options stay.
 *
 * Pure: time comes in, and nothing is stored or logged here. */
#ifndef SQ_BROKER_GROUP_GROUP_OPTIONS_H
#define SQ_BROKER_GROUP_GROUP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/htab.h"
#include "core/list.h"
#include "core/msg.h"
#include "proto/link/frame.h"

/* As they are declared: 0 and SQ_OVERFLOW_DEFAULT where nothing is named. */
struct sq_options {
	uint32_t expiry_s, max_length, max_attempts;
	enum sq_overflow overflow;
	bool durable;
};

struct sq_options_set;

/* What one pod has declared since a time: its word. */
struct sq_declarer {
	struct sq_hnode node; /* by pod */
	struct sq_options_set *set;
	uint64_t since_ms; /* wall clock */
	unsigned refs;     /* subscriptions that hold it */
	bool counts;       /* it is the newest of its pod */
	char pod[];
};

enum { SQ_OPTIONS_TOLD = 16 };

/* What a choice has changed. */
enum sq_chosen {
	SQ_CHOSEN_SAME,  /* nothing */
	SQ_CHOSEN_WORD,  /* whose word counts; its options are the same */
	SQ_CHOSEN_OTHER, /* the options */
};

struct sq_group_options {
	/* In force, and whose they are; since 0: of nobody who said when. */
	struct sq_options now;
	uint64_t since_ms;
	char *pod;
	bool away; /* that pod is not attached, since 'away_ms' */
	uint64_t away_ms;
	/* Who is there. */
	struct sq_htab declarers;
	struct sq_list sets;       /* distinct ones that a declarer has */
	unsigned n_sets;           /* of these, such as one that counts has */
	struct sq_declarer *first; /* the greatest that counts; NULL: none */
	/* Pairs of sets whose disagreement was told: hashes, the oldest is overwritten. */
	uint64_t told[SQ_OPTIONS_TOLD];
	unsigned n_told;
};

bool sq_options_equal(const struct sq_options *, const struct sq_options *);
/* "expiry 60s, max-length default, ..": for people. */
void sq_options_print(const struct sq_options *, struct sq_buf *);

/* Options in force, the pod that they are of, and since when that is away. */
void sq_group_options_init(struct sq_group_options *, const struct sq_options *, uint64_t since_ms,
    struct sq_bytes pod, uint64_t now_ms);
/* The same while nobody has declared anything: what was in force before a restart, say. */
void sq_group_options_set(struct sq_group_options *, const struct sq_options *, uint64_t since_ms,
    struct sq_bytes pod, uint64_t now_ms);
/* No declarer may be left. */
void sq_group_options_fini(struct sq_group_options *);

/* An attached subscription holds the word of that pod from now on; 'since_ms' is not 0. */
struct sq_declarer *sq_declarer_join(
    struct sq_group_options *, const struct sq_options *, uint64_t since_ms, struct sq_bytes pod);
/* It is there no more, or has another word: gives it back and nulls it; NULL: nothing. */
void sq_declarer_leave(struct sq_group_options *, struct sq_declarer **);

/* Finds anew whose options count; one that is away keeps its place for 'wait_ms'.  To be
 * called after every change of declarers, and when sq_group_options_due(). */
enum sq_chosen
sq_group_options_choose(struct sq_group_options *, uint64_t now_ms, uint64_t wait_ms) SQ_MUST_CHECK;
/* Whether the place of the one that is away goes to another now. */
bool sq_group_options_due(const struct sq_group_options *, uint64_t now_ms, uint64_t wait_ms);
/* Whether attached pods have declared different options. */
bool sq_group_options_disagree(const struct sq_group_options *);
/* A declarer that disagrees with the first one, of a pair of sets that was not told yet as
 * far as is remembered; it is from now on.  NULL: there is none. */
const struct sq_declarer *sq_group_options_tell(struct sq_group_options *);
const struct sq_options *sq_declarer_options(const struct sq_declarer *);

#endif
