/* Where a queue of SQS is.  Credentials go to the configured endpoint, or to hosts of AWS, and nowhere else.
 * Pure.  Thread: any. */
#ifndef SQ_BROKER_BRIDGE_SQS_PLACE_H
#define SQ_BROKER_BRIDGE_SQS_PLACE_H

#include <stdbool.h>

#include "broker/bridge/cfg.h"

enum { SQ_SQS_NAME_MAX = 80, SQ_SQS_ACCOUNT = 12 };

/* A zeroed struct is an empty one. */
struct sq_sqs_place {
	char *base;   /* "https://sqs.eu-central-1.amazonaws.com/": what is asked */
	char *region; /* for the signature */
	char *url;    /* the queue's; NULL: GetQueueUrl says it */
	char name[SQ_SQS_NAME_MAX + 1];
	char account[SQ_SQS_ACCOUNT + 1]; /* "": that of the credentials */
	bool fifo;
};

/* 'queue' and 'account' as in the configuration; 'region' is the environment's, for where neither the
 * configuration nor the URL has one.  SQ_EINVAL with a line in 'err', which begins with what is wrong of
 * 'queue', 'account', 'endpoint', 'region'. */
int sq_sqs_place_find(const struct sq_bridge_cfg *, const char *queue, const char *account,
    const char *region, struct sq_sqs_place *out, struct sq_buf *err) SQ_MUST_CHECK;
void sq_sqs_place_fini(struct sq_sqs_place *);

#endif
