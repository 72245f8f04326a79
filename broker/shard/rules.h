/* The rules in force (broker/auth/acl/acl.h): taken out of the configuration at the start and
 * at each change of it, and used by all workers.
 *
 * Each change has a version.  A session keeps a verdict with the version that it is of
 * (session/permit.h), and asks again once the version is another. */
#ifndef SQ_BROKER_SHARD_RULES_H
#define SQ_BROKER_SHARD_RULES_H

#include <stdatomic.h>
#include <stdint.h>

#include "broker/auth/acl/acl.h"

struct sq_rules;

/* With no rules, which deny nothing. */
struct sq_rules *sq_rules_new(void);
void sq_rules_free(struct sq_rules **);
/* Puts them in force; the reference is taken over.  Thread: any. */
void sq_rules_set(struct sq_rules *, struct sq_acl *);
/* Those in force, with a reference, and their version.  Thread: any. */
struct sq_acl *sq_rules_get(struct sq_rules *, uint64_t *version);
/* Of the rules in force, from 1; cheap.  Thread: any. */
uint64_t sq_rules_version(const struct sq_rules *);

#endif
