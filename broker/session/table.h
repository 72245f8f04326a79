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
	struct sq_htab by_key, by_epoch; /* struct sq_session */
	struct sq_list all;
	size_t n;
	struct sq_heap timers;  /* of sessions and wills */
	struct sq_htab links;   /* links with sessions; written by linked.c */
	uint64_t rules_version; /* of the rules that all sessions but the first 'rules_left' follow;
	                         * written by permit.c */
	uint64_t rules_left;    /* sessions that the last change of rules has not reached */
};

struct sq_session_table *sq_session_table_new(void);
/* Frees the table, which has no session; nulls the pointer. */
void sq_session_table_free(struct sq_session_table **);

#endif
