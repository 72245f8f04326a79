/* See broker/auth/identity/identity.h. */
#include "broker/auth/identity/identity.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/identity/digest.h"
#include "core/mem.h"
#include "core/utf8.h"

enum { SAY_SPACES = 4 };

/* One allocation: the texts and the array of spaces are behind it. */
struct identity {
	struct sq_identity base;
	atomic_uint refs;
};

static struct identity nobody = {
    .base = {.id = SQ_IDENTITY_NOBODY, .name = "", .pod = ""},
    .refs = 1, /* its own: it is never freed */
};

const char sq_identity_kinds[] =
    "token:NAME, cert:NAME, kube:NAMESPACE/ACCOUNT, jwt:ISSUER#SUBJECT and bridge:SPACE/NAME";

bool
sq_identity_may_fit(const char *pattern)
{
	static const char *const kinds[] = {"token:", "cert:", "kube:", "jwt:", "bridge:"};
	size_t fixed = strcspn(pattern, "*?");
	bool name = pattern[fixed] == '\0';

	for (size_t i = 0; i < SQ_ARRAY_LEN(kinds); i++) {
		size_t kind = strlen(kinds[i]), both = fixed < kind ? fixed : kind;

		if (strncmp(pattern, kinds[i], both) == 0 && (!name || fixed > kind))
			return true;
	}
	return fixed == 0 && name;
}

static struct identity *
identity_of(const struct sq_identity *who)
{
	return (struct identity *)(uintptr_t)who;
}

static int
identity_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts; returns how many are left when each is there once. */
static size_t
identity_sort(const char **spaces, size_t n)
{
	size_t kept = 0;

	qsort(spaces, n, sizeof *spaces, identity_compare);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || strcmp(spaces[kept - 1], spaces[i]) != 0)
			spaces[kept++] = spaces[i];
	return kept;
}

static const char *
identity_put(char **at, const char *text)
{
	size_t size = strlen(text) + 1;

	*at += size;
	return memcpy(*at - size, text, size);
}

const struct sq_identity *
sq_identity_new(const struct sq_identity *from)
{
	const char *name = from->name != NULL ? from->name : "",
		   *pod = from->pod != NULL ? from->pod : "", **spaces;
	size_t array = from->n_spaces * sizeof *spaces, texts = strlen(name) + strlen(pod) + 2;
	struct identity *i;
	char *at;

	for (size_t n = 0; n < from->n_spaces; n++)
		texts += strlen(from->spaces[n]) + 1;
	i = sq_xmalloc(sizeof *i + array + texts);
	atomic_init(&i->refs, 1);
	i->base = *from;
	spaces = (const char **)(void *)(i + 1);
	at = (char *)(i + 1) + array;
	i->base.name = identity_put(&at, name);
	i->base.pod = identity_put(&at, pod);
	for (size_t n = 0; n < from->n_spaces; n++)
		spaces[n] = identity_put(&at, from->spaces[n]);
	i->base.n_spaces = identity_sort(spaces, from->n_spaces);
	i->base.spaces = spaces;
	return &i->base;
}

const struct sq_identity *
sq_identity_nobody(void)
{
	return sq_identity_ref(&nobody.base);
}

const struct sq_identity *
sq_identity_ref(const struct sq_identity *who)
{
	atomic_fetch_add_explicit(&identity_of(who)->refs, 1, memory_order_relaxed);
	return who;
}

void
sq_identity_unref(const struct sq_identity **whop)
{
	struct identity *i = identity_of(*whop);

	*whop = NULL;
	if (i == NULL || atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) != 1)
		return;
	assert(i != &nobody);
	free(i);
}

bool
sq_identity_has_space(const struct sq_identity *who, const char *space)
{
	return who->n_spaces == 0 ||
	    bsearch(&space, who->spaces, who->n_spaces, sizeof *who->spaces, identity_compare) !=
	    NULL;
}

bool
sq_identity_same_spaces(const struct sq_identity *a, const struct sq_identity *b)
{
	if (a->n_spaces != b->n_spaces)
		return false;
	for (size_t i = 0; i < a->n_spaces; i++)
		if (strcmp(a->spaces[i], b->spaces[i]) != 0)
			return false;
	return true;
}

void
sq_identity_say_spaces(const struct sq_identity *who, struct sq_buf *out)
{
	if (who->n_spaces == 0)
		sq_buf_printf(out, "any");
	for (size_t i = 0; i < who->n_spaces && i < SAY_SPACES; i++)
		sq_buf_printf(out, "%s%s", i > 0 ? ", " : "", who->spaces[i]);
	if (who->n_spaces > SAY_SPACES)
		sq_buf_printf(out, " and %zu more", who->n_spaces - SAY_SPACES);
}

bool
sq_identity_text(const char *text, size_t max)
{
	size_t len = strlen(text);

	return len > 0 && len <= max && sq_utf8_valid(text, len) && sq_utf8_plain(text, len);
}

uint64_t
sq_identity_id(const char *kind, const char *issuer, const char *space, const char *name)
{
	const struct sq_bytes parts[] = {
	    sq_bytes_of(kind), sq_bytes_of(issuer), sq_bytes_of(space), sq_bytes_of(name)};
	uint64_t id = sq_digest_u64(parts, SQ_ARRAY_LEN(parts));

	return id == SQ_IDENTITY_NOBODY || id == SQ_IDENTITY_OLD_TOKEN ? UINT64_MAX : id;
}
