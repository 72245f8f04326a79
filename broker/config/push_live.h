/* What the program has for its pushes (broker/push/push.h): address policy, secrets, requests that leave; and
 * for whoever signs some, credentials for AWS. */
#ifndef SQ_BROKER_CONFIG_PUSH_LIVE_H
#define SQ_BROKER_CONFIG_PUSH_LIVE_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct sq_broker;
struct sq_broker_config;
struct sq_creds;
struct sq_out_shared;
struct sq_push_cfg;
struct sq_push_live;

/* 'wake' is told that there is something to look at, on any thread.  NULL with a line in 'err'. */
struct sq_push_live *sq_push_live_new(
    const struct sq_broker_config *, void (*wake)(void *), void *arg, struct sq_buf *err);
/* Frees it and nulls the pointer, after the broker. */
void sq_push_live_free(struct sq_push_live **);
/* For the broker, which it outlives. */
const struct sq_push_cfg *sq_push_live_cfg(const struct sq_push_live *);
/* What sends requests that leave, for others who have some, too; it has no thread before the first. */
struct sq_out_shared *sq_push_live_out(const struct sq_push_live *);
struct sq_creds *sq_push_live_creds(const struct sq_push_live *);
/* Reads secrets that have changed, and begins what is due of credentials; is called a few times a second. */
void sq_push_live_look(struct sq_push_live *, uint64_t now_ms);
/* Puts in force what is live of a configuration that was read again. */
void
sq_push_live_take(struct sq_push_live *, struct sq_broker *, const struct sq_broker_config *now);

#endif
