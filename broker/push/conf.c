#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/identity.h"
#include "broker/push/push_priv.h"
#include "core/mem.h"
#include "proto/declaration/kept.h"

struct sq_push_policy *
sq_push_policy_now(struct sq_pushes *all)
{
	struct sq_push_policy *policy;

	pthread_mutex_lock(&all->policy_lock);
	policy = sq_push_policy_ref(all->policy);
	pthread_mutex_unlock(&all->policy_lock);
	return policy;
}

/* What is in force now counts, also for requests on their way.  Thread: sq_out's. */
static bool
conf_allows(const struct sq_out_way *way, const struct sockaddr *addr)
{
	const struct sq_push_conf *c = way->arg;
	struct sq_push_policy *policy = sq_push_policy_now(c->all);
	bool https = strncmp(c->origin, "https:", strlen("https:")) == 0,
	     may = sq_push_policy_address(policy, c->space, https, c->host, addr);

	sq_push_policy_unref(&policy);
	return may;
}

/* Host and origin of the URL, whose path alone may have templates. */
static void
conf_origin(struct sq_push_conf *c)
{
	const char *url = c->decl->push.url, *rest = strstr(url, "://");
	size_t len = rest != NULL ? (size_t)(rest - url) + 3 + strcspn(rest + 3, "/?#")
				  : strlen(url);
	char *head = sq_xmemdup0(url, len), host[256] = "";
	struct sq_buf text = {0}, err = {0};
	bool https = true;
	uint16_t port = 0;

	/* What does not read fails with its requests: it was judged when it was declared. */
	if (sq_out_url_check(head, &https, host, sizeof host, &port, &err) != SQ_OK)
		host[0] = '\0';
	sq_buf_printf(&text, "%s://%s:%u", https ? "https" : "http", host, port);
	c->host = sq_xstrdup(host);
	c->origin = sq_buf_take_text(&text);
	sq_buf_fini(&err);
	free(head);
}

/* What the API declares needs consent, unless the host is trusted. */
static void
conf_validate(struct sq_push_conf *c, const struct sq_subscriber *s)
{
	const char *url = c->decl->push.url;
	struct sq_push_policy *policy;

	c->validate = c->decl->push.validate;
	c->policy_version = atomic_load(&c->all->policy_version);
	policy = sq_push_policy_now(c->all);
	if (!s->in_file && !sq_push_policy_trusts(policy, s->space, url))
		c->validate = SQ_PUSH_VALIDATE_REQUIRED;
	sq_push_policy_unref(&policy);
}

static const struct sq_identity *
conf_who(const struct sq_subscriber *s)
{
	const char *spaces[] = {s->space};

	return sq_identity_new(
	    &(struct sq_identity){.name = s->declarer, .spaces = spaces, .n_spaces = 1});
}

struct sq_push_conf *
sq_push_conf_new(struct sq_pushes *all, const struct sq_subscriber *s)
{
	struct sq_push_conf *c = sq_xcalloc(1, sizeof *c);
	const struct sq_declared_push *push = &s->decl->push;
	struct sq_buf shared = {0};

	c->all = all;
	c->refs = 1;
	c->decl = sq_declaration_ref(s->decl);
	c->space = sq_xstrdup(s->space);
	c->queue = sq_xstrdup(s->name);
	conf_origin(c);
	conf_validate(c, s);
	if (sq_push_wants_reply(push))
		c->who = conf_who(s);
	/* One for a space: another's settings, and what its paths answer, are its own. */
	sq_buf_printf(&shared, "%s %s", c->origin, c->space);
	sq_buf_u8(&shared, '\0');
	c->breaker = sq_breaker_get(all->breakers, (const char *)sq_buf_data(&shared));
	sq_buf_fini(&shared);
	c->breaker_cfg = (struct sq_breaker_cfg){
	    push->breaker.failures, push->breaker.probe_ms, push->breaker.max_ms};
	c->way = (struct sq_out_way){.ca_file = push->ca_file,
	    .http2 = push->http2,
	    .owner = c->space,
	    .allows = conf_allows,
	    .arg = c};
	sq_push_proofs_open(c);
	return c;
}

struct sq_push_conf *
sq_push_conf_ref(struct sq_push_conf *c)
{
	c->refs++;
	return c;
}

void
sq_push_conf_unref(struct sq_push_conf **cp)
{
	struct sq_push_conf *c = *cp;

	*cp = NULL;
	if (c == NULL || --c->refs > 0)
		return;
	sq_push_proofs_close(c);
	sq_breaker_put(c->all->breakers, &c->breaker);
	sq_identity_unref(&c->who);
	sq_declaration_unref(&c->decl);
	free(c->space);
	free(c->queue);
	free(c->host);
	free(c->origin);
	free(c);
}
