/* See broker/config/push.h. */
#include "broker/config/push.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "broker/config/config.h"
#include "broker/config/queue_dir.h"
#include "broker/push/policy.h"
#include "core/mem.h"
#include "net/curl/out.h"

enum { ORIGIN_MAX = 253 };

/* Copies an interface's address; false: it is of no kind that URLs have. */
static bool
push_own(const struct ifaddrs *i, struct sockaddr_storage *out)
{
	size_t len = 0;

	if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET)
		len = sizeof(struct sockaddr_in);
	else if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET6)
		len = sizeof(struct sockaddr_in6);
	if (len > 0)
		memcpy(out, i->ifa_addr, len);
	return len > 0;
}

/* The addresses of all interfaces, for the caller to free. */
static struct sockaddr_storage *
push_owns(size_t *n)
{
	struct sockaddr_storage *own;
	struct ifaddrs *all = NULL;
	size_t room = 0;

	*n = 0;
	if (getifaddrs(&all) != 0)
		all = NULL;
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		room++;
	own = sq_xcalloc(room + 1, sizeof *own);
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		*n += push_own(i, &own[*n]);
	if (all != NULL)
		freeifaddrs(all);
	return own;
}

struct sq_push_policy *
sq_broker_config_policy(const struct sq_broker_config *c, struct sq_buf *err)
{
	const struct sq_broker_allow *from = c->push_allow.v;
	struct sq_push_allow *rows = sq_xcalloc(c->push_allow.n + 1, sizeof *rows);
	struct sq_push_policy *policy;
	struct sockaddr_storage *own;
	size_t n_own;

	for (size_t i = 0; i < c->push_allow.n; i++) {
		rows[i] = (struct sq_push_allow){.host = sq_config_text(from[i].host),
		    .cidr = sq_config_text(from[i].cidr),
		    .spaces = (const char *const *)from[i].spaces.v,
		    .n_spaces = from[i].spaces.n,
		    .where = from[i].record.where};
	}
	own = push_owns(&n_own);
	policy = sq_push_policy_new(
	    &(struct sq_push_policy_cfg){
		.allow = rows,
		.n_allow = c->push_allow.n,
		.trusted = (const char *const *)c->push_trusted.v,
		.n_trusted = c->push_trusted.n,
		.own = own,
		.n_own = n_own,
	    },
	    err);
	free(rows);
	free(own);
	return policy;
}

/* Whether push.proxy is one; else a line in 'err'. */
static int
push_proxy(const char *proxy, struct sq_buf *err)
{
	struct sq_buf why = {0};
	const char *path = strstr(proxy, "//");
	bool https = false;
	int rc = sq_out_url_check(proxy, &https, NULL, 0, NULL, &why);

	path = path != NULL ? strpbrk(path + 2, "/?") : NULL;
	if (rc == SQ_OK && path != NULL && strcmp(path, "/") != 0) {
		sq_buf_printf(&why, "a proxy's URL has no path");
		rc = SQ_EINVAL;
	} else if (rc == SQ_OK && https) {
		sq_buf_printf(&why, "a proxy is asked by http:// alone");
		rc = SQ_EINVAL;
	}
	if (rc != SQ_OK)
		sq_buf_printf(err, "push.proxy: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc;
}

int
sq_broker_config_push_check(const struct sq_broker_config *c, struct sq_buf *err)
{
	static const char good[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	struct sq_push_policy *policy = sq_broker_config_policy(c, err);
	bool is_good = policy != NULL;
	const char *origin = sq_config_text(c->push_origin);

	sq_push_policy_unref(&policy);
	if (!is_good)
		return SQ_EINVAL;
	if (origin != NULL &&
	    (strlen(origin) > ORIGIN_MAX || origin[strspn(origin, good)] != '\0')) {
		sq_buf_printf(err,
		    "push.origin: %.64s: a name as of a host, at most %d letters, digits, '.', "
		    "'-' and '_'",
		    origin, ORIGIN_MAX);
		return SQ_EINVAL;
	}
	return sq_config_is_set(c->push_proxy) ? push_proxy(c->push_proxy, err) : SQ_OK;
}

static int
push_judge(const void *arg, const struct sq_file_queue *q, struct sq_buf *why)
{
	return sq_push_policy_declared(arg, q->space, q->decl.push.url, why);
}

void
sq_broker_config_check_queues(const struct sq_broker_config *c, struct sq_buf *err)
{
	struct sq_push_policy *policy = sq_broker_config_policy(c, err);

	if (policy != NULL)
		sq_queue_dir_check(c->subscribers_dir, push_judge, policy, err);
	sq_push_policy_unref(&policy);
}
