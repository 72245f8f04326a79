/* The record of a declaration, kind 13: id that of the queue's group, sub 0.  Its bindings are the
 * group's own records. */
#ifndef SQ_BROKER_SUBSCRIBER_RECORD_H
#define SQ_BROKER_SUBSCRIBER_RECORD_H

#include "broker/subscriber/table.h"

struct sq_txn;

/* Puts the present state into 'txn'. */
void sq_declared_store(const struct sq_subscriber *, struct sq_txn *txn);
void sq_declared_unstore(const struct sq_subscriber *, struct sq_txn *txn);

/* Appends the value of the record. */
void sq_declared_put(const struct sq_subscriber *, struct sq_buf *out);
/* About how many bytes that of a declaration has, at most. */
size_t sq_declared_bytes(const struct sq_declaration *);

/* What a record says. */
struct sq_declared_record {
	struct sq_declaration decl; /* without bindings */
	uint64_t revision;
	bool in_file, paused, owned;
	char *declarer, *pause_why; /* as in struct sq_subscriber */
};

/* False: the value is malformed, and 'out' has nothing. */
bool sq_declared_read(struct sq_bytes value, struct sq_declared_record *out);
void sq_declared_record_fini(struct sq_declared_record *);

#endif
