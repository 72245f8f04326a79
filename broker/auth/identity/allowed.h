/* What an identity may do: which names it may say, and whose sessions it may have.
 *
 * Rules alone; broker/session/denied.h answers by them. */
#ifndef SQ_BROKER_AUTH_IDENTITY_ALLOWED_H
#define SQ_BROKER_AUTH_IDENTITY_ALLOWED_H

#include "broker/auth/identity/identity.h"
#include "core/msg.h"
#include "proto/link/answer.h"

/* Why not, as a line for people, in the words of what proves the identity. */
const char *sq_denied_text(enum sq_denied, const struct sq_identity *);

/* How far a session goes: auth.owner. */
enum sq_owner_scope { SQ_OWNER_ACCOUNT, SQ_OWNER_NAMESPACE };

/* Whose sessions somebody may have, by the configuration. */
struct sq_owner_rules {
	enum sq_owner_scope scope;
	bool keep; /* auth.adopt: false: what is nobody's stays so */
};

/* A session key in a path. */
enum sq_denied sq_allowed_key(const struct sq_identity *, const struct sq_key *);
/* Who declares, and for which group: "pod:" and a pod's name, cut at 'group_max' bytes, is
 * that pod's alone. */
enum sq_denied sq_allowed_declared(
    const struct sq_identity *, struct sq_bytes pod, struct sq_bytes group, size_t group_max);
/* A later credential of the link that 'link' has opened. */
enum sq_denied sq_allowed_again(const struct sq_identity *link, const struct sq_identity *now);
/* A session of 'owner', whose space and pod it may name.  Everybody has his own, or each of
 * his namespace.  Where nobody is asked, everybody has all. */
enum sq_denied
sq_allowed_owner(const struct sq_identity *, uint64_t owner, const struct sq_owner_rules *);
/* Whether it is nobody's (made while nobody was asked, or by a token of a time when tokens had
 * no names), and so becomes that caller's, if he may have it. */
bool sq_owner_adopts(const struct sq_identity *, uint64_t owner);
/* Whose the session is when that has it. */
uint64_t sq_owner_after(const struct sq_identity *, uint64_t owner);

#endif
