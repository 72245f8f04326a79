/* See broker/auth/tokens/tokens_file.h. */
#include "broker/auth/tokens/tokens_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/htab.h"
#include "core/mem.h"

enum { HEX_SIZE = 2 * SQ_DIGEST_SIZE };

/* Somebody, with a line or more. */
struct holder {
	struct sq_hnode node; /* by name */
	const struct sq_identity *identity;
	unsigned line; /* the first */
};

struct line {
	struct sq_hnode by_digest, by_basis;
	unsigned char digest[SQ_DIGEST_SIZE];
	struct sq_token token;
	unsigned line;
};

struct sq_tokens {
	struct sq_htab holders, by_digest, by_basis;
};

/* The state of a read. */
struct reading {
	struct sq_tokens *t;
	struct sq_buf *err;
	unsigned line;
	bool any; /* a line that is not blank */
};

/* The fields of a line. */
enum { FIELD_NAME, FIELD_SPACES, FIELD_HASH, FIELDS };

static bool
tokens_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool
tokens_fail(const struct reading *r, const char *why)
{
	sq_buf_printf(r->err, "line %u: %s", r->line, why);
	return false;
}

static bool
tokens_fail_at(const struct reading *r, const char *why, unsigned line)
{
	sq_buf_printf(r->err, "line %u: %s line %u", r->line, why, line);
	return false;
}

/* Splits a line up to a comment; how many fields, FIELDS + 1 if there are more. */
static size_t
tokens_split(struct sq_bytes line, struct sq_bytes out[FIELDS])
{
	const unsigned char *p = line.p, *end = line.p + line.len;
	size_t n = 0;

	for (;;) {
		const unsigned char *from;

		while (p < end && tokens_blank(*p))
			p++;
		if (p == end || *p == '#')
			return n;
		if (n == FIELDS)
			return FIELDS + 1;
		for (from = p; p < end && !tokens_blank(*p); p++)
			;
		out[n++] = (struct sq_bytes){from, (size_t)(p - from)};
	}
}

bool
sq_tokens_name(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= SQ_TOKEN_NAME_MAX &&
	    strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

bool
sq_tokens_space(const char *s)
{
	return sq_identity_text(s, SQ_KEY_PART_MAX) && strpbrk(s, ", \t#*?") == NULL;
}

static int
tokens_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads "SHA256:HEX". */
static bool
tokens_hash(struct sq_bytes field, unsigned char out[SQ_DIGEST_SIZE])
{
	static const char prefix[] = "SHA256:";
	const size_t skip = sizeof prefix - 1;

	if (field.len != skip + HEX_SIZE || memcmp(field.p, prefix, skip) != 0)
		return false;
	field.p += skip;
	for (size_t i = 0; i < SQ_DIGEST_SIZE; i++) {
		int hi = tokens_digit(field.p[2 * i]), lo = tokens_digit(field.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (unsigned char)(hi << 4 | lo);
	}
	return true;
}

/* Cuts a list at its commas, in place; how many, or 0: one is no space. */
static size_t
tokens_spaces(char *list, const char *out[SQ_IDENTITY_SPACES_MAX])
{
	size_t n = 0;

	for (char *at = list; at != NULL;) {
		char *one = strsep(&at, ",");

		if (n == SQ_IDENTITY_SPACES_MAX || !sq_tokens_space(one))
			return 0;
		out[n++] = one;
	}
	return n;
}

static struct holder *
tokens_holder(const struct sq_tokens *t, const char *name, uint64_t hash)
{
	struct sq_hnode *n = sq_htab_find(&t->holders, hash);

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct holder *h = SQ_CONTAINER_OF(n, struct holder, node);

		if (strcmp(h->identity->name, name) == 0)
			return h;
	}
	return NULL;
}

static const struct sq_identity *
tokens_identity(const char *name, const char *text, const char *const *spaces, size_t n)
{
	return sq_identity_new(&(struct sq_identity){
	    .id = sq_identity_id("token", "", "", name),
	    .name = text,
	    .spaces = spaces,
	    .n_spaces = n,
	});
}

/* Whose line it is; NULL: the name has other spaces. */
static struct holder *
tokens_hold(const struct reading *r, const char *name, const char *const *spaces, size_t n)
{
	struct sq_buf text = {0};
	uint64_t hash;
	struct holder *h;
	const struct sq_identity *who;

	sq_buf_printf(&text, "token:%s%c", name, 0);
	hash = sq_hash(sq_buf_data(&text), sq_buf_len(&text));
	who = tokens_identity(name, (const char *)sq_buf_data(&text), spaces, n);
	h = tokens_holder(r->t, who->name, hash);
	if (h == NULL) {
		h = sq_xcalloc(1, sizeof *h);
		h->identity = sq_identity_ref(who);
		h->line = r->line;
		sq_htab_insert(&r->t->holders, &h->node, hash);
	} else if (!sq_identity_same_spaces(h->identity, who)) {
		(void)tokens_fail_at(r, "the name has other spaces in", h->line);
		h = NULL;
	}
	sq_identity_unref(&who);
	sq_buf_fini(&text);
	return h;
}

static struct line *
tokens_by_digest(const struct sq_tokens *t, const unsigned char digest[SQ_DIGEST_SIZE])
{
	struct sq_hnode *n = sq_htab_find(&t->by_digest, sq_hash(digest, SQ_DIGEST_SIZE));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct line *l = SQ_CONTAINER_OF(n, struct line, by_digest);

		if (sq_secret_equal(l->digest, digest, SQ_DIGEST_SIZE))
			return l;
	}
	return NULL;
}

static uint64_t
tokens_basis(const struct line *l)
{
	const struct sq_identity *who = l->token.identity;
	struct sq_bytes parts[3 + SQ_IDENTITY_SPACES_MAX] = {
	    sq_bytes_of("token"), sq_bytes_of(who->name), {l->digest, SQ_DIGEST_SIZE}};

	for (size_t i = 0; i < who->n_spaces; i++)
		parts[3 + i] = sq_bytes_of(who->spaces[i]);
	return sq_digest_u64(parts, 3 + who->n_spaces);
}

static bool
tokens_add(
    const struct reading *r, const struct holder *h, const unsigned char digest[SQ_DIGEST_SIZE])
{
	struct line *l = tokens_by_digest(r->t, digest);

	if (l != NULL)
		return tokens_fail_at(r, "the hash is that of", l->line);
	l = sq_xcalloc(1, sizeof *l);
	memcpy(l->digest, digest, SQ_DIGEST_SIZE);
	l->token.identity = h->identity;
	l->token.basis = tokens_basis(l);
	l->line = r->line;
	sq_htab_insert(&r->t->by_digest, &l->by_digest, sq_hash(digest, SQ_DIGEST_SIZE));
	sq_htab_insert(&r->t->by_basis, &l->by_basis, sq_hash_u64(l->token.basis));
	return true;
}

/* The fields as texts; all are without NUL. */
static bool
tokens_take(const struct reading *r, char *name, char *list, struct sq_bytes hash)
{
	const char *spaces[SQ_IDENTITY_SPACES_MAX];
	unsigned char digest[SQ_DIGEST_SIZE];
	struct holder *h;
	size_t n;

	if (!sq_tokens_name(name))
		return tokens_fail(r, "a name is of letters, digits, '.', '_' and '-'");
	n = tokens_spaces(list, spaces);
	if (n == 0)
		return tokens_fail(r, "the second field is not SPACE[,SPACE...], at most 64");
	if (!tokens_hash(hash, digest))
		return tokens_fail(r, "the third field is not SHA256: with 64 hexadecimal digits");
	h = tokens_hold(r, name, spaces, n);
	return h != NULL && tokens_add(r, h, digest);
}

static bool
tokens_line(struct reading *r, struct sq_bytes line)
{
	struct sq_bytes f[FIELDS];
	size_t n;
	char *name, *list;
	bool good;

	if (memchr(line.p, '\0', line.len) != NULL)
		return tokens_fail(r, "a NUL in it");
	n = tokens_split(line, f);
	r->any = r->any || n > 0 || memchr(line.p, '#', line.len) != NULL;
	if (n == 0)
		return true;
	if (n == 1)
		return tokens_fail(r,
		    "one field: a token itself does not belong here; sqmqos-broker --new-token "
		    "makes a line");
	if (n != FIELDS)
		return tokens_fail(r, "not NAME SPACE[,SPACE...] SHA256:HEX");
	name = sq_xmemdup0(f[FIELD_NAME].p, f[FIELD_NAME].len);
	list = sq_xmemdup0(f[FIELD_SPACES].p, f[FIELD_SPACES].len);
	good = tokens_take(r, name, list, f[FIELD_HASH]);
	free(name);
	free(list);
	return good;
}

struct sq_tokens *
sq_tokens_parse(struct sq_bytes text, struct sq_buf *err)
{
	struct reading r = {.t = sq_xcalloc(1, sizeof *r.t), .err = err};
	const unsigned char *p = text.p, *end = text.p + text.len;
	bool good = true;

	while (p < end && good) {
		const unsigned char *nl = memchr(p, '\n', (size_t)(end - p));
		const unsigned char *to = nl != NULL ? nl : end;

		r.line++;
		good = tokens_line(&r, (struct sq_bytes){p, (size_t)(to - p)});
		p = nl != NULL ? nl + 1 : end;
	}
	if (good && !r.any) {
		sq_buf_printf(err, "nothing in it; a comment says that nobody is meant to come");
		good = false;
	}
	if (!good)
		sq_tokens_free(&r.t);
	return r.t;
}

static void
tokens_free_lines(struct sq_tokens *t)
{
	struct sq_hnode *n = sq_htab_walk(&t->by_digest, NULL);

	while (n != NULL) {
		struct line *l = SQ_CONTAINER_OF(n, struct line, by_digest);

		n = sq_htab_walk(&t->by_digest, n);
		sq_htab_remove(&t->by_basis, &l->by_basis);
		sq_htab_remove(&t->by_digest, &l->by_digest);
		free(l);
	}
}

static void
tokens_free_holders(struct sq_tokens *t)
{
	struct sq_hnode *n = sq_htab_walk(&t->holders, NULL);

	while (n != NULL) {
		struct holder *h = SQ_CONTAINER_OF(n, struct holder, node);

		n = sq_htab_walk(&t->holders, n);
		sq_htab_remove(&t->holders, &h->node);
		sq_identity_unref(&h->identity);
		free(h);
	}
}

void
sq_tokens_free(struct sq_tokens **tp)
{
	struct sq_tokens *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	tokens_free_lines(t);
	tokens_free_holders(t);
	sq_htab_fini(&t->by_digest);
	sq_htab_fini(&t->by_basis);
	sq_htab_fini(&t->holders);
	free(t);
}

size_t
sq_tokens_count(const struct sq_tokens *t)
{
	return t->by_digest.n;
}

const struct sq_token *
sq_tokens_find(const struct sq_tokens *t, const unsigned char digest[SQ_DIGEST_SIZE])
{
	const struct line *l = tokens_by_digest(t, digest);

	return l != NULL ? &l->token : NULL;
}

const struct sq_identity *
sq_tokens_named(const struct sq_tokens *t, const char *name)
{
	const struct holder *h = tokens_holder(t, name, sq_hash(name, strlen(name) + 1));

	return h != NULL ? h->identity : NULL;
}

bool
sq_tokens_have(const struct sq_tokens *t, uint64_t basis)
{
	struct sq_hnode *n = sq_htab_find(&t->by_basis, sq_hash_u64(basis));

	for (; n != NULL; n = sq_htab_next_same(n))
		if (SQ_CONTAINER_OF(n, struct line, by_basis)->token.basis == basis)
			return true;
	return false;
}
