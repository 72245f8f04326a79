/* How many publishes an identity may make in a second: a token bucket for each, which holds those of
 * one second.  Pure: the time comes in as an argument.  Thread: any.  Locks: its own. */
#ifndef SQ_BROKER_FRONT_HTTP_RATE_H
#define SQ_BROKER_FRONT_HTTP_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct sq_http_rate;

enum { SQ_HTTP_RATE_IDENTITIES = 65536 }; /* with a bucket of their own; others share one */

/* 'per_second' is at least 1. */
struct sq_http_rate *sq_http_rate_new(uint64_t per_second);
/* Takes 'n' publishes of the identity's bucket; false: it has not as many, and nothing is taken.  'n'
 * is at most what a bucket holds. */
bool sq_http_rate_take(struct sq_http_rate *, uint64_t identity, uint64_t n, uint64_t now_ms);
/* Drops the buckets that are full again. */
void sq_http_rate_sweep(struct sq_http_rate *, uint64_t now_ms);
/* Frees '*r', if any, and sets it to NULL. */
void sq_http_rate_free(struct sq_http_rate **r);

#endif
