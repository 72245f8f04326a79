/* The sessions of a shard, with the state that files of this folder keep for all of them.
 *
 * On the shard's worker. */
#ifndef SQ_BROKER_SESSION_TABLE_H
#define SQ_BROKER_SESSION_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/heap.h"
#include "core/htab.h"
#include "core/list.h"

struct sq_session_table {
	struct sq_htab by_key;   /* struct sq_session; session.c */
	struct sq_htab by_epoch; /* those that are attached; attach.c and life.c */
	struct sq_list all;      /* session.c; enforce.c changes the order */
	size_t n;                /* of 'all' */
	struct sq_heap timers;   /* of sessions and wills */
	struct sq_htab links;    /* links with sessions; written by linked.c */
	uint64_t rules_version; /* of the rules that all sessions but the first 'rules_left' follow;
	                         * written by enforce.c */
	uint64_t rules_left;    /* sessions that the last change of rules has not reached; the
	                         * same */
};

struct sq_session_table *sq_session_table_new(void);
/* Frees the table, which has no session; nulls the pointer. */
void sq_session_table_free(struct sq_session_table **);

#endif
