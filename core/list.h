/* Intrusive, circular, doubly linked list.  A node that is in no list points
 * to itself, so removing it twice is harmless. */
#ifndef SQ_CORE_LIST_H
#define SQ_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/mem.h"

struct sq_list {
	struct sq_list *prev, *next;
};

static inline void
sq_list_init(struct sq_list *l)
{
	l->prev = l->next = l;
}

static inline bool
sq_list_empty(const struct sq_list *l)
{
	return l->next == l;
}

/* Puts 'node', which is in no list, before 'at'; before the head is the list's end. */
static inline void
sq_list_insert(struct sq_list *at, struct sq_list *node)
{
	node->prev = at->prev;
	node->next = at;
	at->prev->next = node;
	at->prev = node;
}

static inline void
sq_list_push_back(struct sq_list *head, struct sq_list *node)
{
	sq_list_insert(head, node);
}

static inline void
sq_list_push_front(struct sq_list *head, struct sq_list *node)
{
	sq_list_insert(head->next, node);
}

static inline void
sq_list_remove(struct sq_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	sq_list_init(node);
}

/* Moves all nodes of 'from' to the end of 'to'; 'from' is empty afterwards. */
static inline void
sq_list_splice(struct sq_list *to, struct sq_list *from)
{
	if (sq_list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	sq_list_init(from);
}

#define SQ_LIST_FOR_EACH(it, head, type, member) \
	for (type *it = SQ_CONTAINER_OF((head)->next, type, member); &it->member != (head); \
	     it = SQ_CONTAINER_OF(it->member.next, type, member))

/* SQ_LIST_FOR_EACH whose body may remove or free 'it'. */
#define SQ_LIST_FOR_EACH_SAFE(it, head, type, member) \
	for (type *it = SQ_CONTAINER_OF((head)->next, type, member), \
		  *it##_next = SQ_CONTAINER_OF(it->member.next, type, member); \
	     &it->member != (head); \
	     it = it##_next, it##_next = SQ_CONTAINER_OF(it->member.next, type, member))

#define SQ_LIST_FIRST(head, type, member) \
	(sq_list_empty(head) ? NULL : SQ_CONTAINER_OF((head)->next, type, member))

#endif
