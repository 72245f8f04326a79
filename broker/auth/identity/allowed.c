#include "broker/auth/identity/allowed.h"

#include <string.h>

enum kind { KUBE, TOKEN, CERTIFICATE, KINDS };

static const char *const texts[][KINDS] = {
    [SQ_DENIED_NONE] = {"", "", ""},
    [SQ_DENIED_SPACE] = {"the token is of another namespace", "the token may not name the space",
	"the certificate may not name the space"},
    [SQ_DENIED_POD] = {"the token is of another pod", "the token is of another pod",
	"the certificate is of another pod"},
    [SQ_DENIED_OWNER] = {"the session belongs to another account",
	"the session belongs to another identity", "the session belongs to another identity"},
    [SQ_DENIED_WILL] = {"a rule denies its will", "a rule denies its will",
	"a rule denies its will"},
};

static enum kind
denied_kind(const struct sq_identity *who)
{
	if (strncmp(who->name, "kube:", 5) == 0)
		return KUBE;
	return strncmp(who->name, "cert:", 5) == 0 ? CERTIFICATE : TOKEN;
}

const char *
sq_denied_text(enum sq_denied why, const struct sq_identity *who)
{
	return texts[why][denied_kind(who)];
}

static bool
allowed_pod(const char *own, const char *said)
{
	return own[0] == '\0' || said[0] == '\0' || strcmp(own, said) == 0;
}

enum sq_denied
sq_allowed_key(const struct sq_identity *who, const struct sq_key *key)
{
	if (!sq_identity_has_space(who, key->space))
		return SQ_DENIED_SPACE;
	return allowed_pod(who->pod, key->pod) ? SQ_DENIED_NONE : SQ_DENIED_POD;
}

static bool
allowed_is(struct sq_bytes b, const char *text, size_t len)
{
	return b.len == len && memcmp(b.p, text, len) == 0;
}

enum sq_denied
sq_allowed_declared(
    const struct sq_identity *who, struct sq_bytes pod, struct sq_bytes group, size_t group_max)
{
	static const char prefix[] = "pod:";
	const size_t skip = sizeof prefix - 1;
	size_t own = strlen(who->pod);

	if (own == 0)
		return SQ_DENIED_NONE;
	if (pod.len > 0 && !allowed_is(pod, who->pod, own))
		return SQ_DENIED_POD;
	if (group.len < skip || memcmp(group.p, prefix, skip) != 0)
		return SQ_DENIED_NONE;
	group.p += skip;
	group.len -= skip;
	own = own < group_max - skip ? own : group_max - skip;
	return allowed_is(group, who->pod, own) ? SQ_DENIED_NONE : SQ_DENIED_POD;
}

enum sq_denied
sq_allowed_again(const struct sq_identity *link, const struct sq_identity *now)
{
	if (!sq_identity_same_spaces(link, now))
		return SQ_DENIED_SPACE;
	if (strcmp(link->pod, now->pod) != 0)
		return SQ_DENIED_POD;
	return link->id == now->id ? SQ_DENIED_NONE : SQ_DENIED_OWNER;
}

bool
sq_owner_adopts(const struct sq_identity *who, uint64_t owner)
{
	return who->id != SQ_IDENTITY_NOBODY &&
	    (owner == SQ_IDENTITY_NOBODY || owner == SQ_IDENTITY_OLD_TOKEN);
}

enum sq_denied
sq_allowed_owner(const struct sq_identity *who, uint64_t owner, const struct sq_owner_rules *rules)
{
	bool may = who->id == SQ_IDENTITY_NOBODY || who->id == owner ||
	    (sq_owner_adopts(who, owner) ? !rules->keep : rules->scope == SQ_OWNER_NAMESPACE);

	return may ? SQ_DENIED_NONE : SQ_DENIED_OWNER;
}

uint64_t
sq_owner_after(const struct sq_identity *who, uint64_t owner)
{
	return who->id != SQ_IDENTITY_NOBODY ? who->id : owner;
}
