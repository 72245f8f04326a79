/* The sessions of a shard, and what their files keep for all of them. */
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
	struct sq_htab links;   /* that they have: linked.c's */
	uint64_t rules_version; /* that they have, but for the first: permit.c's */
	uint64_t rules_left;    /* of them */
};

struct sq_session_table *sq_session_table_new(void);
/* No session is left. */
void sq_session_table_free(struct sq_session_table **);

#endif
