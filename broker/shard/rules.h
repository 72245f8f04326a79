/* The access rules in force (broker/auth/acl/acl.h): taken from the configuration at the start and
 * at each change, and used by all workers.
 *
 * Each change has a version.  A session keeps a verdict with its version (session/permit.h), and
 * asks again when the version has changed. */
#ifndef SQ_BROKER_SHARD_RULES_H
#define SQ_BROKER_SHARD_RULES_H

#include <stdatomic.h>
#include <stdint.h>

#include "broker/auth/acl/acl.h"

struct sq_rules;

/* Begins without rules, which denies nothing. */
struct sq_rules *sq_rules_new(void);
void sq_rules_free(struct sq_rules **);
/* Puts the rules in force; takes over the reference.  Thread: any.  Locks: its own. */
void sq_rules_set(struct sq_rules *, struct sq_acl *);
/* The rules in force, with a reference, and their version.  Thread: any.  Locks: its own. */
struct sq_acl *sq_rules_get(struct sq_rules *, uint64_t *version);
/* The version of the rules in force, from 1: an atomic read.  Thread: any.  Locks: none. */
uint64_t sq_rules_version(const struct sq_rules *);

#endif
