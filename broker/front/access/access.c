#include "broker/front/access/access.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/identity.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "web/admin_ask.h"

enum { SHOWN_MAX = 256 }; /* bytes of a name in a refusal */

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

bool
sq_access_has_space(const struct sq_access *a, const char *space)
{
	return a->acl == NULL || sq_identity_has_space(a->who, space);
}

/* The caller's rules in that space, or in all (NULL). */
static struct sq_acl_subject *
access_subject(const struct sq_access *a, const char *space)
{
	const struct sq_acl_who who = {.identity = a->who->name,
	    .client = "",
	    .space = space,
	    .own = space == NULL ? a->who->n_spaces == 0 : sq_access_has_space(a, space)};

	return sq_acl_subject_new(a->acl, &who);
}

static void
access_deny(
    struct sq_access *a, const struct sq_acl_verdict *v, struct sq_bytes object, const char *space)
{
	struct sq_buf *out = &a->denied;

	sq_buf_drain(out, sq_buf_len(out));
	sq_buf_printf(out, "this identity may not %s %.*s in %s%.*s: ", sq_acl_verb_name(v->verb),
	    (int)sq_utf8_cut((const char *)object.p, object.len, SHOWN_MAX), (const char *)object.p,
	    space != NULL ? "space " : "all spaces",
	    space != NULL ? (int)sq_utf8_cut(space, strlen(space), SHOWN_MAX) : 0,
	    space != NULL ? space : "");
	if (space == NULL && v->basis == SQ_ACL_BY_SPACE)
		sq_buf_printf(out, "it has spaces of its own, one of which is to be named");
	else
		sq_acl_verdict_print(v, false, out);
	sq_buf_u8(out, '\0');
}

/* Whether the caller may that verb in that space, or in all (NULL). */
static bool
access_judge(struct sq_access *a, enum sq_acl_verb verb, struct sq_bytes object, const char *space)
{
	struct sq_acl_subject *subject = access_subject(a, space);
	struct sq_acl_verdict why;
	bool may = sq_acl_may(subject, verb, object, &why);

	if (!may)
		access_deny(a, &why, object, space);
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
		/* What has no space concerns all of them. */
		a->may = access_judge(
		    a, SQ_ACL_OPERATE, sq_bytes_of(a->what), space[0] != '\0' ? space : NULL);
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
	if (whole || (space == NULL && a->who->n_spaces == 0))
		return sq_access_space(a, "");
	if (space != NULL)
		return sq_access_space(a, space);
	for (size_t i = 0; i < a->who->n_spaces; i++) {
		if (sq_access_space(a, a->who->spaces[i]))
			return true;
	}
	return false;
}

bool
sq_access_may_manage(struct sq_access *a, struct sq_bytes object, const char *space)
{
	return a->acl == NULL || access_judge(a, SQ_ACL_MANAGE, object, space);
}

/* Whether some rule lets the caller manage something in that space, or in all (NULL). */
static bool
access_manages(const struct sq_access *a, const char *space)
{
	struct sq_acl_subject *subject = access_subject(a, space);
	bool has = sq_acl_has(subject, SQ_ACL_MANAGE);

	sq_acl_subject_free(&subject);
	return has;
}

bool
sq_access_manages(struct sq_access *a, const char *space)
{
	bool own = space == NULL && a->acl != NULL && a->who->n_spaces > 0;
	const char *const *spaces = own ? a->who->spaces : &space;
	size_t n = own ? a->who->n_spaces : 1;

	if (a->acl == NULL)
		return true;
	for (size_t i = 0; i < n; i++)
		if (access_manages(a, spaces[i]))
			return true;
	return access_judge(a, SQ_ACL_MANAGE, sq_bytes_of("anything"), spaces[n - 1]);
}

bool
sq_access_may_read(struct sq_access *a, const char *filter, const char *space)
{
	struct sq_acl_subject *subject;
	struct sq_topic_filter f;
	struct sq_acl_verdict why;
	bool may;

	if (a->acl == NULL || sq_topic_filter_parse(sq_bytes_of(filter), &f, NULL) != SQ_OK)
		return a->acl == NULL;
	subject = access_subject(a, space);
	may = sq_acl_may_subscribe(subject, &f, (struct sq_bytes){0}, &why);
	if (!may)
		access_deny(a, &why, sq_bytes_of(filter), space);
	sq_acl_subject_free(&subject);
	return may;
}

const char *
sq_access_denied(const struct sq_access *a)
{
	return sq_buf_len(&a->denied) > 0 ? (const char *)sq_buf_data(&a->denied) : "";
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
	sq_buf_fini(&a->denied);
}
