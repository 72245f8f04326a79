/* Rights of an identity: the names that it may use, and the sessions that it may have.
 *
 * Rules alone; broker/session/denied.h answers by them. */
#ifndef SQ_BROKER_AUTH_IDENTITY_ALLOWED_H
#define SQ_BROKER_AUTH_IDENTITY_ALLOWED_H

#include "broker/auth/identity/identity.h"
#include "core/msg.h"
#include "proto/link/answer.h"

/* The reason of a refusal, as a line for people, in terms of the identity's credential. */
const char *sq_denied_text(enum sq_denied, const struct sq_identity *);

/* The owner of a session, by auth.owner: an account, or all of its namespace. */
enum sq_owner_scope { SQ_OWNER_ACCOUNT, SQ_OWNER_NAMESPACE };

/* Rules of ownership, by the configuration. */
struct sq_owner_rules {
	enum sq_owner_scope scope;
	bool keep; /* auth.adopt is false: a session of nobody stays without an owner */
};

/* Whether the identity may use a session key of a path. */
enum sq_denied sq_allowed_key(const struct sq_identity *, const struct sq_key *);
/* Whether the identity may declare for a pod and a group.  The group "pod:" and a pod's name, cut at
 * 'group_max' bytes, belongs to that pod alone. */
enum sq_denied sq_allowed_declared(
    const struct sq_identity *, struct sq_bytes pod, struct sq_bytes group, size_t group_max);
/* Whether 'now', of a later credential, may go on with the link that 'link' has opened. */
enum sq_denied sq_allowed_again(const struct sq_identity *link, const struct sq_identity *now);
/* Whether the identity may have a session of 'owner' whose space and pod it may name: its own, or one
 * of its namespace.  Without credentials everybody may have all. */
enum sq_denied
sq_allowed_owner(const struct sq_identity *, uint64_t owner, const struct sq_owner_rules *);
/* Whether a session belongs to nobody (made without credentials, or by a token of a time when tokens
 * had no names) and so becomes the caller's, if the caller may have it. */
bool sq_owner_adopts(const struct sq_identity *, uint64_t owner);
/* The owner of the session once the identity has it. */
uint64_t sq_owner_after(const struct sq_identity *, uint64_t owner);

#endif
