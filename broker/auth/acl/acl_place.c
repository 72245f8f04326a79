/* Placeholders in rules: {space}, {identity}, {client}. */
#include <string.h>

#include "broker/auth/acl/acl_priv.h"
#include "core/mem.h"

enum place { PLACE_SPACE, PLACE_IDENTITY, PLACE_CLIENT, PLACES };

static const struct {
	const char *text;
	size_t len;
} places[] = {
    [PLACE_SPACE] = {"{space}", 7},
    [PLACE_IDENTITY] = {"{identity}", 10},
    [PLACE_CLIENT] = {"{client}", 8},
};

/* Which one 'at' begins with; PLACES: none. */
static enum place
place_at(const char *at)
{
	enum place p = PLACE_SPACE;

	while (p < PLACES && strncmp(at, places[p].text, places[p].len) != 0)
		p++;
	return p;
}

bool
sq_acl_has_places(const char *text)
{
	for (const char *at = strchr(text, '{'); at != NULL; at = strchr(at + 1, '{')) {
		if (place_at(at) != PLACES)
			return true;
	}
	return false;
}

const char *
sq_acl_bad_place(const char *text)
{
	for (const char *at = strchr(text, '{'); at != NULL; at = strchr(at + 1, '{')) {
		if (place_at(at) == PLACES)
			return "placeholders are {space}, {identity} and {client}";
	}
	return NULL;
}

/* A byte that would mean something where it stands. */
static bool
place_means(unsigned char c, bool topic, bool first)
{
	if (c == '%')
		return true;
	if (!topic)
		return c == '*' || c == '?';
	return c == '/' || c == '+' || c == '#' || (c == '$' && first);
}

static void
place_put(struct sq_buf *out, const char *value, size_t len, bool topic, bool first)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if (place_means(c, topic, first && i == 0))
			sq_buf_printf(out, "%%%02X", c);
		else
			sq_buf_u8(out, c);
	}
}

/* "kube:SPACE/ACCOUNT": no namespace has a dot, so that no two accounts become one. */
static bool
place_put_account(struct sq_buf *out, const char *identity, bool topic, bool first)
{
	static const char kind[] = "kube:";
	const char *space = identity + sizeof kind - 1, *slash;

	if (strncmp(identity, kind, sizeof kind - 1) != 0 || (slash = strchr(space, '/')) == NULL)
		return false;
	place_put(out, space, (size_t)(slash - space), topic, first);
	sq_buf_u8(out, '.');
	place_put(out, slash + 1, strlen(slash + 1), topic, false);
	return true;
}

static int
place_put_identity(struct sq_buf *out, const char *identity, bool topic, bool first)
{
	const char *name;

	if (identity == NULL || identity[0] == '\0')
		return SQ_EINVAL;
	if (place_put_account(out, identity, topic, first))
		return SQ_OK;
	name = strchr(identity, ':');
	name = name != NULL ? name + 1 : identity;
	place_put(out, name, strlen(name), topic, first);
	return *name != '\0' ? SQ_OK : SQ_EINVAL;
}

static int
place_put_client(struct sq_buf *out, const char *client, bool topic, bool first)
{
	if (client == NULL)
		return SQ_EINVAL;
	place_put(out, client, strlen(client), topic, first);
	return SQ_OK;
}

int
sq_acl_fill(struct sq_buf *out, const char *text, bool topic, const struct sq_acl_who *who)
{
	size_t from = sq_buf_len(out);
	int err = SQ_OK;

	while (*text != '\0' && err == SQ_OK) {
		enum place p = place_at(text);
		bool first = sq_buf_len(out) == from;

		if (p == PLACE_SPACE)
			place_put(out, who->space, strlen(who->space), topic, first);
		else if (p == PLACE_CLIENT)
			err = place_put_client(out, who->client, topic, first);
		else if (p == PLACE_IDENTITY)
			err = place_put_identity(out, who->identity, topic, first);
		else
			sq_buf_u8(out, (uint8_t)*text);
		text += p < PLACES ? places[p].len : 1;
	}
	return err;
}
