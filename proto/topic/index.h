/* The router's index: from a topic to the filters that select it, and from a
 * filter to the stored names that it selects.
 *
 * A trie over topic levels; the children of all nodes share one hash table
 * with a keyed hash.  Work grows with topic depth, not with the number of
 * filters, except that each + beside a literal level doubles the paths that
 * can be followed, never beyond the nodes that exist; bound the subscriptions
 * of a session to bound that.
 *
 * One index is one topic space: the owner keeps one per space, and separate
 * ones for subscriptions and for retained names.  No lock inside: functions
 * that take a const index may run in many threads at once under the owner's
 * read lock, all others (scans among them) need its write lock.  Matching
 * allocates nothing. */
#ifndef SQ_PROTO_TOPIC_INDEX_H
#define SQ_PROTO_TOPIC_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#include "core/mem.h"
#include "proto/topic/topic.h"

struct sq_topic_index;
struct sq_topic_scan;

/* Stands in the caller's object (SQ_CONTAINER_OF).  Zeroed: in no index. */
struct sq_index_entry {
	struct sq_index_entry *next; /* same filter, same tag */
	struct sq_index_entry **pprev;
	void *node;
};

static inline bool
sq_index_entry_linked(const struct sq_index_entry *e)
{
	return e->node != NULL;
}

#define SQ_NO_TAG ((struct sq_bytes){0})

/* Never NULL.  Free with sq_topic_index_free(). */
struct sq_topic_index *sq_topic_index_new(void);
/* Frees '*indexp', if any, and sets it to NULL.  Entries still in it are the
 * caller's and are not touched; scans must be closed. */
void sq_topic_index_free(struct sq_topic_index **indexp);

/* Puts 'e', which must be in no index, under 'filter' and 'tag' as they stand
 * in struct sq_topic_filter, checked (SQ_NO_TAG or empty: none).  Both are
 * copied.  For retained messages 'filter' is a topic name.  Any number of
 * entries may have the same filter. */
void sq_topic_index_insert(
    struct sq_topic_index *, struct sq_bytes tag, struct sq_bytes filter, struct sq_index_entry *e);
/* Takes 'e' out and frees what nobody needs any more; nothing if 'e' is in no
 * index.  O(levels). */
void sq_topic_index_remove(struct sq_topic_index *, struct sq_index_entry *e);

/* Calls 'fn' for every entry without tag whose filter selects 'topic', in no
 * order, each once; returns how many.  'fn' must not change the index.  A
 * topic of more than SQ_TOPIC_LEVELS_MAX levels matches nothing. */
size_t sq_topic_index_match(const struct sq_topic_index *, struct sq_bytes topic,
    void (*fn)(struct sq_index_entry *, void *arg), void *arg);
/* The same for entries under 'tag'; call it once for each tag of a message. */
size_t sq_topic_index_match_tag(const struct sq_topic_index *, struct sq_bytes tag,
    struct sq_bytes topic, void (*fn)(struct sq_index_entry *, void *arg), void *arg);

/* First entry inserted under exactly this text, wildcards being ordinary
 * characters here ("a/+" finds only "a/+"); NULL if none; go on with ->next. */
struct sq_index_entry *
sq_topic_index_find(const struct sq_topic_index *, struct sq_bytes tag, struct sq_bytes filter);

/* Entries and trie nodes; an index without entries and open scans has no node. */
size_t sq_topic_index_count(const struct sq_topic_index *);
size_t sq_topic_index_nodes(const struct sq_topic_index *);

/* The other direction, in slices: every entry without tag whose *name* is
 * selected by 'filter' (checked and copied; entries under wildcards are not
 * found).  The index may change between slices: a name that is there all the
 * time is reported exactly once, one that comes or goes may be missed, and a
 * scan always ends.  SQ_EINVAL or SQ_ETOOBIG if 'filter' isn't a plain one. */
int sq_topic_scan_open(
    struct sq_topic_index *, struct sq_bytes filter, struct sq_topic_scan **out) SQ_MUST_CHECK;
/* Goes on for at most 'max_nodes' visited nodes, so at most so many names;
 * returns whether there may be more.  'fn' returns false to end the slice after
 * this name; it may remove the entry that it is given, and change nothing else. */
bool sq_topic_scan_next(struct sq_topic_scan *, size_t max_nodes,
    bool (*fn)(struct sq_index_entry *, void *arg), void *arg);
/* How many nodes it has visited so far. */
size_t sq_topic_scan_visited(const struct sq_topic_scan *);
/* Closes '*scanp', if any, and sets it to NULL.  Before the index is freed. */
void sq_topic_scan_close(struct sq_topic_scan **scanp);

#endif
