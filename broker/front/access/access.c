#include "broker/front/access/access.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/identity.h"
#include "core/mem.h"
#include "web/admin_ask.h"

/* Whether 'host' is 'name', maybe with a port. */
static bool
host_is(const char *host, const char *name)
{
	size_t len = strlen(name);

	return strncasecmp(host, name, len) == 0 &&
	    (host[len] == '\0' ||
		(host[len] == ':' && host[len + 1] != '\0' &&
		    host[len + 1 + strspn(host + len + 1, "0123456789")] == '\0'));
}

unsigned
sq_access_local(const struct sq_admin_ask *ask, const char **why)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	*why = "wanted is a token, or a request from 127.0.0.1 or ::1";
	if (!ask->loopback)
		return 401;
	for (size_t i = 0; i < SQ_ARRAY_LEN(names); i++) {
		if (host_is(ask->host, names[i]))
			return 200;
	}
	*why = "a request from loopback names localhost, 127.0.0.1 or [::1] as its host";
	return 403;
}

/* Whether the identity has that space, and a rule lets it operate what it asks for there. */
static bool
access_judge(const struct sq_access *a, const char *space)
{
	struct sq_acl_who who = {
	    .identity = a->who->name, .client = "", .space = space, .own = true};
	struct sq_acl_subject *subject;
	struct sq_acl_verdict why;
	bool may;

	/* What has no space concerns all of them. */
	if (space[0] == '\0' ? a->who->n_spaces > 0 : !sq_identity_has_space(a->who, space))
		return false;
	subject = sq_acl_subject_new(a->acl, &who);
	may = sq_acl_may(subject, SQ_ACL_OPERATE, sq_bytes_of(a->what), &why);
	sq_acl_subject_free(&subject);
	return may;
}

bool
sq_access_space(void *arg, const char *space)
{
	struct sq_access *a = arg;

	if (a->acl == NULL)
		return true;
	if (a->space == NULL || strcmp(a->space, space) != 0) {
		free(a->space);
		a->space = sq_xstrdup(space);
		a->may = access_judge(a, space);
	}
	return a->may;
}

bool
sq_access_may(struct sq_access *a, const char *what, bool whole, const char *space)
{
	if (a->acl == NULL)
		return true;
	if (a->what != what) {
		free(a->space);
		a->space = NULL;
	}
	a->what = what;
	if (whole)
		return a->who->n_spaces == 0 && sq_access_space(a, "");
	if (space != NULL || a->who->n_spaces == 0)
		return sq_access_space(a, space != NULL ? space : "");
	for (size_t i = 0; i < a->who->n_spaces; i++) {
		if (sq_access_space(a, a->who->spaces[i]))
			return true;
	}
	return false;
}

const char *
sq_access_name(const struct sq_access *a)
{
	return a->acl != NULL ? a->who->name : "loopback";
}

void
sq_access_fini(struct sq_access *a)
{
	sq_acl_unref(&a->acl);
	free(a->space);
	a->space = NULL;
}
