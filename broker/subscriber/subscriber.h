/* Subscribers: named durable queues, which a file, the API or an annotation declares, and from which
 * any number of MQTT clients and pullers take, each message going to one of them.
 *
 *   front --sq_broker_call()--> worker that owns the queue: table, rules, pull --done()--> front
 *
 * A named queue is a group (broker/group) of the kind "queue" that its declaration keeps, with or
 * without members.  Its declaration is a record; its bindings are the group's. */
#ifndef SQ_BROKER_SUBSCRIBER_SUBSCRIBER_H
#define SQ_BROKER_SUBSCRIBER_SUBSCRIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "proto/declaration/declaration.h"

struct sq_broker;
struct sq_call;
struct sq_shard;
struct sq_subscribers;

struct sq_subscribers *sq_subscribers_new(struct sq_broker *);
void sq_subscribers_free(struct sq_subscribers **);
/* Reads declarations, leases and settled requests from the store, after groups were read; before
 * workers turn. */
int sq_subscribers_load(struct sq_subscribers *, uint64_t now_ms);
/* The shard on which a SQ_CALL_QUEUE is carried out.  Thread: any. */
struct sq_shard *sq_subscribers_shard(struct sq_subscribers *, const struct sq_call *);
/* Carries the call out; takes it over.  On the shard's worker. */
void sq_subscriber_call(struct sq_shard *, struct sq_call *, bool draining);
/* Times that are over.  On the shard's worker, each tick. */
void sq_subscribers_tick(struct sq_shard *, uint64_t now_ms);
/* Answers all that wait: the broker ends soon.  On the shard's worker. */
void sq_subscribers_drain(struct sq_shard *);
/* Answers all that wait, and gives items back to their queues.  On the shard's worker, at the end. */
void sq_subscribers_stop(struct sq_shard *);

/* A queue that a file declares. */
struct sq_subscriber_file {
	const char *space, *name;
	const struct sq_declaration *decl;
	const char *where; /* "billing.yaml:3" */
};
/* Has the files' declarations, each queue once, be those: what is new is made, and what differs is
 * changed, also what the API has declared.  'whole': they are all that files declare, and what files
 * declared before and do not now is the API's from then on; nothing is deleted.  A line of the log says
 * each change and each refusal; what is refused is tried again.  Copies what it needs.  Thread: any. */
void sq_subscribers_set_files(
    struct sq_subscribers *, const struct sq_subscriber_file *, size_t n, bool whole);
/* Whether what they declare has been carried out, or refused.  Thread: any. */
bool sq_subscribers_files_done(const struct sq_subscribers *);

#endif
