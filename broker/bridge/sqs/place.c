#include "broker/bridge/sqs/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "net/cred/cred.h"
#include "net/curl/out.h"

enum { HOST_MAX = 254 };

static int
place_refuse(struct sq_buf *err, const char *why)
{
	sq_buf_printf(err, "%s", why);
	return SQ_EINVAL;
}

/* --- names --- */

static bool
place_is_name(const char *name, size_t len)
{
	static const char fifo[] = ".fifo";
	size_t bare = len;

	if (len > sizeof fifo - 1 && strcmp(name + len - (sizeof fifo - 1), fifo) == 0)
		bare = len - (sizeof fifo - 1);
	return len <= SQ_SQS_NAME_MAX && bare > 0 &&
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
	    bare;
}

static bool
place_is_account(const char *text, size_t len)
{
	return len == SQ_SQS_ACCOUNT && strspn(text, "0123456789") >= len;
}

/* Takes name and account from a queue's URL: ".../ACCOUNT/NAME"; an emulator may have another account,
 * which is none. */
static int
place_path(const char *url, struct sq_sqs_place *out, struct sq_buf *err)
{
	const char *path = strchr(strstr(url, "://") + 3, '/');
	const char *last = path != NULL ? strrchr(path, '/') : NULL, *before = last;

	if (last == NULL || strpbrk(url, "?#") != NULL ||
	    !place_is_name(last + 1, strlen(last + 1)))
		return place_refuse(err, "queue: the URL does not end with the name of a queue");
	(void)snprintf(out->name, sizeof out->name, "%s", last + 1);
	while (before > path && before[-1] != '/')
		before--;
	if (before > path && place_is_account(before, (size_t)(last - before)))
		(void)snprintf(out->account, sizeof out->account, "%.*s", SQ_SQS_ACCOUNT, before);
	return SQ_OK;
}

/* --- hosts --- */

static bool
place_ends(const char *host, const char *with)
{
	size_t len = strlen(host), n = strlen(with);

	return len > n && strcmp(host + len - n, with) == 0;
}

static bool
place_is_aws(const char *host)
{
	return place_ends(host, ".amazonaws.com") || place_ends(host, ".amazonaws.com.cn");
}

/* The region in a host of AWS, the label behind "sqs", or before "queue"; false: it has none. */
static bool
place_host_region(const char *host, char *out, size_t room)
{
	const char *sqs = strncmp(host, "sqs.", 4) == 0 ? host : strstr(host, ".sqs.");
	const char *queue = strstr(host, ".queue.amazonaws.");
	size_t len;

	if (sqs != NULL)
		sqs += *sqs == '.' ? 5 : 4;
	else if (queue != NULL)
		sqs = host;
	else
		return false;
	len = strcspn(sqs, ".");
	if (len == 0 || len >= room)
		return false;
	(void)snprintf(out, room, "%.*s", (int)len, sqs);
	return sq_cred_domain(out) != NULL;
}

/* The first part of a URL, up to its path. */
static char *
place_origin(const char *url)
{
	size_t len = (size_t)(strstr(url, "://") + 3 - url);
	char *text;

	len += strcspn(url + len, "/");
	text = sq_xmalloc(len + 2);
	memcpy(text, url, len);
	memcpy(text + len, "/", 2);
	return text;
}

static int
place_endpoint(const struct sq_bridge_cfg *cfg, struct sq_buf *err)
{
	const char *path;

	if (sq_out_url_check(cfg->endpoint, NULL, NULL, 0, NULL, err) != SQ_OK) {
		struct sq_buf why = *err;

		*err = (struct sq_buf){0};
		sq_buf_printf(
		    err, "endpoint: %.*s", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
		sq_buf_fini(&why);
		return SQ_EINVAL;
	}
	path = strchr(strstr(cfg->endpoint, "://") + 3, '/');
	if ((path != NULL && path[1] != '\0') || strchr(cfg->endpoint, '?') != NULL)
		return place_refuse(err, "endpoint: has a path; SQS is asked at / alone");
	return SQ_OK;
}

static int
place_set_region(const char *region, struct sq_sqs_place *out, struct sq_buf *err)
{
	if (region == NULL)
		return place_refuse(
		    err, "region: is not given, nor is AWS_REGION in the environment");
	if (sq_cred_domain(region) == NULL)
		return place_refuse(err, "region: that is no region's name, as eu-central-1");
	out->region = sq_xstrdup(region);
	return SQ_OK;
}

static int
place_url(const struct sq_bridge_cfg *cfg, const char *queue, const char *region,
    struct sq_sqs_place *out, struct sq_buf *err)
{
	char host[HOST_MAX], of_host[32];
	struct sq_buf why = {0};
	bool https;
	int rc = sq_out_url_check(queue, &https, host, sizeof host, NULL, &why);

	if (rc != SQ_OK)
		sq_buf_printf(
		    err, "queue: %.*s", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	if (rc != SQ_OK || place_path(queue, out, err) != SQ_OK)
		return SQ_EINVAL;
	out->url = sq_xstrdup(queue);
	if (cfg->endpoint != NULL) {
		out->base = place_origin(cfg->endpoint);
	} else if (!https || !place_is_aws(host)) {
		return place_refuse(
		    err, "queue: a URL that is not https and of amazonaws.com needs 'endpoint'");
	} else {
		out->base = place_origin(queue);
		if (cfg->region == NULL && place_host_region(host, of_host, sizeof of_host))
			region = of_host;
	}
	return place_set_region(cfg->region != NULL ? cfg->region : region, out, err);
}

static int
place_name(const struct sq_bridge_cfg *cfg, const char *queue, const char *account,
    const char *region, struct sq_sqs_place *out, struct sq_buf *err)
{
	if (!place_is_name(queue, strlen(queue)))
		return place_refuse(err, "queue: neither a URL nor a queue's name");
	if (account != NULL && !place_is_account(account, strlen(account)))
		return place_refuse(err, "account: not the 12 digits of an account");
	(void)snprintf(out->name, sizeof out->name, "%s", queue);
	if (account != NULL)
		(void)snprintf(out->account, sizeof out->account, "%s", account);
	if (place_set_region(cfg->region != NULL ? cfg->region : region, out, err) != SQ_OK)
		return SQ_EINVAL;
	if (cfg->endpoint != NULL) {
		out->base = place_origin(cfg->endpoint);
	} else {
		struct sq_buf base = {0};

		sq_buf_printf(
		    &base, "https://sqs.%s.%s/", out->region, sq_cred_domain(out->region));
		out->base = sq_buf_take_text(&base);
	}
	return SQ_OK;
}

int
sq_sqs_place_find(const struct sq_bridge_cfg *cfg, const char *queue, const char *account,
    const char *region, struct sq_sqs_place *out, struct sq_buf *err)
{
	bool url;
	int rc;

	if (queue == NULL || queue[0] == '\0')
		return place_refuse(err, "queue: is needed, a queue's name or its URL");
	if (cfg->endpoint != NULL && place_endpoint(cfg, err) != SQ_OK)
		return SQ_EINVAL;
	url = strstr(queue, "://") != NULL;
	if (url && account != NULL)
		return place_refuse(err, "account: the queue's URL has it");
	rc = url ? place_url(cfg, queue, region, out, err)
		 : place_name(cfg, queue, account, region, out, err);
	out->fifo = place_ends(out->name, ".fifo");
	return rc;
}

void
sq_sqs_place_fini(struct sq_sqs_place *p)
{
	free(p->base);
	free(p->region);
	free(p->url);
	*p = (struct sq_sqs_place){0};
}
