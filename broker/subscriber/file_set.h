/* What files declare at a time: an immutable set of declarations, by space and name. */
#ifndef SQ_BROKER_SUBSCRIBER_FILE_SET_H
#define SQ_BROKER_SUBSCRIBER_FILE_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "proto/declaration/declaration.h"

struct sq_subscriber_file;
struct sq_subscribers;

struct sq_declared_file {
	char *space, *name, *where;
	struct sq_declaration decl;
};

struct sq_declared_files {
	atomic_uint refs;
	bool whole; /* it is all that files declare */
	size_t n;
	struct sq_declared_file v[];
};

/* Copies; one reference. */
struct sq_declared_files *
sq_declared_files_new(const struct sq_subscriber_file *, size_t n, bool whole);
/* Thread: any, for all of the following. */
struct sq_declared_files *sq_declared_files_ref(struct sq_declared_files *);
/* Gives a reference back, if there is one, and nulls the pointer. */
void sq_declared_files_unref(struct sq_declared_files **);
/* The declaration of that queue; NULL: there is none, or no set. */
const struct sq_declared_file *
sq_declared_files_find(const struct sq_declared_files *, const char *space, const char *name);
/* Appends where the queue is declared, for people.  Locks: the table's. */
void sq_declared_files_where(
    struct sq_subscribers *, const char *space, const char *name, struct sq_buf *out);

#endif
