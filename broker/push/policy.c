/* See broker/push/policy.h. */
#include "broker/push/policy.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/push/address.h"
#include "core/glob.h"
#include "core/mem.h"
#include "net/curl/out.h"

enum {
	ROWS_MAX = 1024,
	SPACES_MAX = 256, /* of a row */
	HOST_MAX = 255,   /* bytes, of a host and of a pattern */
	LABEL_MAX = 63,
	SPACE_LEN = 7, /* of "{space}" */
	WHOLE = 128,   /* bits: one address */
};

static const char space_word[] = "{space}";

struct policy_row {
	char *host; /* NULL: any */
	bool has_range;
	struct sq_push_range range;
	char **spaces; /* patterns; none: any */
	size_t n_spaces;
};

struct sq_push_policy {
	_Atomic unsigned refs;
	struct policy_row *rows;
	size_t n;
	char **trusted; /* patterns */
	size_t n_trusted;
	struct sq_push_address *own;
	size_t n_own;
};

/* Whether a space's name is one label of a host's name: then it can stand in a pattern for itself and
 * nothing else. */
static bool
policy_is_label(const char *space)
{
	size_t len = strspn(space, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && len <= LABEL_MAX && space[len] == '\0';
}

/* Whether 'host' matches a row's pattern in that space. */
static bool
policy_host(const char *pattern, const char *space, const char *host)
{
	char room[HOST_MAX / SPACE_LEN * LABEL_MAX + HOST_MAX + 1];
	size_t at = 0, len = strlen(space);
	const char *word;

	if (strstr(pattern, space_word) == NULL)
		return sq_glob_match(pattern, host);
	if (!policy_is_label(space))
		return false;
	while ((word = strstr(pattern, space_word)) != NULL) {
		memcpy(room + at, pattern, (size_t)(word - pattern));
		at += (size_t)(word - pattern);
		memcpy(room + at, space, len);
		at += len;
		pattern = word + SPACE_LEN;
	}
	memcpy(room + at, pattern, strlen(pattern) + 1);
	return sq_glob_match(room, host);
}

/* Whether the row is about that host in that space. */
static bool
policy_about(const struct policy_row *row, const char *space, const char *host)
{
	bool here = row->n_spaces == 0;

	for (size_t i = 0; i < row->n_spaces && !here; i++)
		here = sq_glob_match(row->spaces[i], space);
	return here && (row->host == NULL || policy_host(row->host, space, host));
}

static bool
policy_is_own(const struct sq_push_policy *p, const struct sq_push_address *a)
{
	for (size_t i = 0; i < p->n_own; i++) {
		if (sq_push_address_equal(&p->own[i], a))
			return true;
	}
	return false;
}

/* Whether the row, which is about the host, opens the address.  What is closed, and the broker's own,
 * has to be meant: a wide range is not enough. */
static bool
policy_opens(const struct policy_row *row, const struct sq_push_address *a,
    const struct sq_push_block *block, bool own)
{
	if (!row->has_range)
		return !own && block != NULL && block->reach == SQ_PUSH_PRIVATE;
	if (!sq_push_range_has(&row->range, a))
		return false;
	if (block != NULL && block->reach == SQ_PUSH_CLOSED)
		return row->range.bits >= block->range.bits;
	return !own || row->range.bits == WHOLE;
}

static bool
policy_may(const struct sq_push_policy *p, const char *space, const char *host,
    const struct sq_push_address *a)
{
	const struct sq_push_block *block = sq_push_block_of(a);
	bool own = policy_is_own(p, a), may = block == NULL && !own;

	for (size_t i = 0; i < p->n && !may; i++)
		may = policy_about(&p->rows[i], space, host) &&
		    policy_opens(&p->rows[i], a, block, own);
	if (may && block != NULL && block->carries > 0) {
		struct sq_push_address v4 = sq_push_address_carried(block, a);

		return policy_may(p, space, host, &v4);
	}
	return may;
}

/* Whether a row with a host names it: http may go there. */
static bool
policy_names(const struct sq_push_policy *p, const char *space, const char *host)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->rows[i].host != NULL && policy_about(&p->rows[i], space, host))
			return true;
	}
	return false;
}

/* Copies a host as rows are written: in lower case, without the dot at its end.  False: it is none. */
static bool
policy_plain(const char *host, char out[HOST_MAX + 1])
{
	size_t len = strlen(host);

	if (len > 1 && host[len - 1] == '.')
		len--;
	if (len == 0 || len > HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)host[i]);
	out[len] = '\0';
	return true;
}

/* A copy of a pattern of hosts; NULL with the reason in 'err'. */
static char *
policy_pattern(const char *pattern, struct sq_buf *err)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-._:*?";
	char host[HOST_MAX + 1];
	const char *at = host;

	if (!policy_plain(pattern, host)) {
		sq_buf_printf(err, "a host has 1 to %d bytes", HOST_MAX);
		return NULL;
	}
	while (*(at += strspn(at, good)) != '\0') {
		if (strncmp(at, space_word, SPACE_LEN) != 0) {
			sq_buf_printf(err,
			    "%.64s is no host: a name or an address, without scheme, port and "
			    "brackets, with *, ? and {space}",
			    pattern);
			return NULL;
		}
		at += SPACE_LEN;
	}
	return sq_xstrdup(host);
}

/* A host that is an address which no host alone opens would never be reached: it is said. */
static int
policy_row_useful(const struct policy_row *row, struct sq_buf *err)
{
	struct sq_push_address a;
	const struct sq_push_block *block = NULL;

	if (row->host != NULL && !row->has_range && sq_push_address_read(row->host, &a))
		block = sq_push_block_of(&a);
	if (block == NULL || block->reach != SQ_PUSH_CLOSED)
		return SQ_OK;
	sq_buf_printf(err, "host: %s is %s, which needs cidr, too: cidr: ", row->host, block->name);
	sq_push_address_print(&a, err);
	return SQ_EINVAL;
}

static int
policy_row_spaces(struct policy_row *row, const struct sq_push_allow *from, struct sq_buf *err)
{
	if (from->n_spaces > SPACES_MAX) {
		sq_buf_printf(err, "spaces: at most %d", SPACES_MAX);
		return SQ_EINVAL;
	}
	row->n_spaces = from->n_spaces;
	row->spaces = sq_xcalloc(row->n_spaces + 1, sizeof *row->spaces);
	for (size_t i = 0; i < row->n_spaces; i++)
		row->spaces[i] = sq_xstrdup(from->spaces[i]);
	return SQ_OK;
}

static int
policy_row_fill(struct policy_row *row, const struct sq_push_allow *from, struct sq_buf *err)
{
	if (from->host == NULL && from->cidr == NULL) {
		sq_buf_printf(err, "host, cidr, or both");
		return SQ_EINVAL;
	}
	if (from->host != NULL && (row->host = policy_pattern(from->host, err)) == NULL)
		return SQ_EINVAL;
	row->has_range = from->cidr != NULL;
	if (row->has_range) {
		struct sq_buf why = {0};
		int rc = sq_push_range_read(from->cidr, &row->range, &why);

		if (rc != SQ_OK)
			sq_buf_printf(err, "cidr: %.*s", (int)sq_buf_len(&why),
			    (const char *)sq_buf_data(&why));
		sq_buf_fini(&why);
		if (rc != SQ_OK)
			return rc;
	}
	if (policy_row_useful(row, err) != SQ_OK)
		return SQ_EINVAL;
	return policy_row_spaces(row, from, err);
}

static int
policy_rows(struct sq_push_policy *p, const struct sq_push_policy_cfg *cfg, struct sq_buf *err)
{
	int rc = SQ_OK;

	p->rows = sq_xcalloc(cfg->n_allow + 1, sizeof *p->rows);
	for (size_t i = 0; i < cfg->n_allow && rc == SQ_OK; i++) {
		const char *where = cfg->allow[i].where;
		struct sq_buf why = {0};

		rc = SQ_EINVAL;
		if (i < ROWS_MAX)
			rc = policy_row_fill(&p->rows[p->n++], &cfg->allow[i], &why);
		else
			sq_buf_printf(&why, "at most %d items", ROWS_MAX);
		if (rc != SQ_OK)
			sq_buf_printf(err, "%s%spush.allow[%zu]: %.*s", where != NULL ? where : "",
			    where != NULL ? ": " : "", i, (int)sq_buf_len(&why),
			    (const char *)sq_buf_data(&why));
		sq_buf_fini(&why);
	}
	return rc;
}

static int
policy_trusted(struct sq_push_policy *p, const struct sq_push_policy_cfg *cfg, struct sq_buf *err)
{
	struct sq_buf why = {0};

	p->trusted = sq_xcalloc(cfg->n_trusted + 1, sizeof *p->trusted);
	for (; p->n_trusted < cfg->n_trusted && p->n_trusted < ROWS_MAX; p->n_trusted++) {
		char *pattern = policy_pattern(cfg->trusted[p->n_trusted], &why);

		if (pattern == NULL)
			break;
		p->trusted[p->n_trusted] = pattern;
	}
	if (p->n_trusted == cfg->n_trusted)
		return SQ_OK;
	if (sq_buf_len(&why) == 0)
		sq_buf_printf(&why, "at most %d items", ROWS_MAX);
	sq_buf_printf(
	    err, "push.trusted: %.*s", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return SQ_EINVAL;
}

/* Adds an address of the broker; what is closed, as loopback, is so for everybody. */
static void
policy_add_own(struct sq_push_policy *p, const struct sockaddr_storage *own)
{
	struct sq_push_address *a = &p->own[p->n_own];
	const struct sq_push_block *block;

	if (!sq_push_address_of((const struct sockaddr *)own, a))
		return;
	block = sq_push_block_of(a);
	p->n_own += block == NULL || block->reach != SQ_PUSH_CLOSED;
}

struct sq_push_policy *
sq_push_policy_new(const struct sq_push_policy_cfg *cfg, struct sq_buf *err)
{
	struct sq_push_policy *p = sq_xcalloc(1, sizeof *p);

	p->refs = 1;
	p->own = sq_xcalloc(cfg->n_own + 1, sizeof *p->own);
	for (size_t i = 0; i < cfg->n_own; i++)
		policy_add_own(p, &cfg->own[i]);
	if (policy_rows(p, cfg, err) != SQ_OK || policy_trusted(p, cfg, err) != SQ_OK)
		sq_push_policy_unref(&p);
	return p;
}

struct sq_push_policy *
sq_push_policy_ref(struct sq_push_policy *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

void
sq_push_policy_unref(struct sq_push_policy **pp)
{
	struct sq_push_policy *p = *pp;

	*pp = NULL;
	if (p == NULL || atomic_fetch_sub(&p->refs, 1) > 1)
		return;
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->rows[i].n_spaces; k++)
			free(p->rows[i].spaces[k]);
		free(p->rows[i].spaces);
		free(p->rows[i].host);
	}
	for (size_t i = 0; i < p->n_trusted; i++)
		free(p->trusted[i]);
	free(p->trusted);
	free(p->rows);
	free(p->own);
	free(p);
}

/* Says why an address that stands in a URL is denied, and what row of push.allow opens it. */
static int
policy_denied(const struct sq_push_policy *p, const char *space, const char *host,
    const struct sq_push_address *a, struct sq_buf *err)
{
	const struct sq_push_block *block = sq_push_block_of(a);
	bool own = policy_is_own(p, a);
	struct sq_buf text = {0};
	struct sq_push_address v4;

	sq_push_address_print(a, &text);
	sq_buf_u8(&text, '\0');
	if (strcmp(host, (const char *)sq_buf_data(&text)) != 0)
		sq_buf_printf(err, "%s: ", host);
	sq_buf_printf(err, "%s", (const char *)sq_buf_data(&text));
	if (own)
		sq_buf_printf(err, " is the broker's own");
	else if (block != NULL)
		sq_buf_printf(err, " is %s", block->name);
	if (block != NULL && block->carries > 0) {
		v4 = sq_push_address_carried(block, a);
		sq_buf_printf(err, ", of ");
		sq_push_address_print(&v4, err);
	}
	sq_buf_printf(err, ", and push.allow doesn't open that for space \"%.64s\"", space);
	if (!own && block != NULL && block->reach == SQ_PUSH_PRIVATE)
		sq_buf_printf(err, ": a row {host: '%s'} would", host);
	else if (block == NULL || block->carries == 0)
		sq_buf_printf(err, ": a row {host: '%s', cidr: '%s'} would", host,
		    (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
	return SQ_EDENIED;
}

int
sq_push_policy_url(
    const struct sq_push_policy *p, const char *space, const char *url, struct sq_buf *err)
{
	char given[HOST_MAX + 1], host[HOST_MAX + 1];
	struct sq_push_address a;
	bool https;

	if (sq_out_url_check(url, &https, given, sizeof given, NULL, err) != SQ_OK)
		return SQ_EDENIED;
	if (!policy_plain(given, host)) {
		sq_buf_printf(err, "a URL of push has a host");
		return SQ_EDENIED;
	}
	if (sq_push_address_read(host, &a)) {
		if (!policy_may(p, space, host, &a))
			return policy_denied(p, space, host, &a, err);
	} else if (strchr(host, ':') != NULL) {
		sq_buf_printf(err, "[%s] is no address", host);
		return SQ_EDENIED;
	}
	if (!https && !policy_names(p, space, host)) {
		sq_buf_printf(err,
		    "%s: http goes only to hosts that push.allow names for space \"%.64s\"; "
		    "take https, or add a row {host: '%s'}",
		    host, space, host);
		return SQ_EDENIED;
	}
	return SQ_OK;
}

int
sq_push_policy_declared(
    const struct sq_push_policy *p, const char *space, const char *url, struct sq_buf *err)
{
	struct sq_buf why = {0};
	int rc = url != NULL ? sq_push_policy_url(p, space, url, &why) : SQ_OK;

	if (rc != SQ_OK)
		sq_buf_printf(
		    err, "push.url: %.*s", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc;
}

bool
sq_push_policy_address(const struct sq_push_policy *p, const char *space, bool https,
    const char *host, const struct sockaddr *to)
{
	char plain[HOST_MAX + 1];
	struct sq_push_address a;

	if (!policy_plain(host, plain) || !sq_push_address_of(to, &a))
		return false;
	return policy_may(p, space, plain, &a) && (https || policy_names(p, space, plain));
}

bool
sq_push_policy_trusts(const struct sq_push_policy *p, const char *space, const char *url)
{
	char given[HOST_MAX + 1], host[HOST_MAX + 1];
	struct sq_buf err = {0};
	bool is_url = sq_out_url_check(url, NULL, given, sizeof given, NULL, &err) == SQ_OK,
	     trusts = false;

	sq_buf_fini(&err);
	if (!is_url || !policy_plain(given, host))
		return false;
	for (size_t i = 0; i < p->n_trusted && !trusts; i++)
		trusts = policy_host(p->trusted[i], space, host);
	return trusts;
}
