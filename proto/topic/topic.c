/* Topic names and filters; see proto/topic/topic.h. */
#include "proto/topic/topic.h"

#include <string.h>

#define TOPIC_STARTS(b, lit) topic_starts(b, lit, sizeof(lit) - 1)

static bool
topic_starts(struct sq_bytes b, const char *lit, size_t len)
{
	return b.len >= len && memcmp(b.p, lit, len) == 0;
}

static struct sq_bytes
topic_skip(struct sq_bytes b, size_t n)
{
	return (struct sq_bytes){b.p + n, b.len - n};
}

/* The bytes before the first slash, or all. */
static struct sq_bytes
topic_head(struct sq_bytes b)
{
	const unsigned char *slash = memchr(b.p, '/', b.len);

	return (struct sq_bytes){b.p, slash == NULL ? b.len : (size_t)(slash - b.p)};
}

static int
topic_fail(int err, const char **why, const char *rule)
{
	if (why != NULL)
		*why = rule;
	return err;
}

int
sq_topic_name_check(struct sq_bytes name, const char **why)
{
	return sq_topic_name_check_levels(name, SQ_TOPIC_LEVELS_MAX, why);
}

/* What a byte of a name adds: to its levels, or a count above any number of them.  One addition a
 * byte, as each message is checked. */
enum { TOPIC_BAD = 1 << 17 };

static const uint32_t topic_counts[UINT8_MAX + 1] = {
    ['/'] = 1, ['+'] = TOPIC_BAD, ['#'] = TOPIC_BAD, [0] = TOPIC_BAD};

static int
topic_bad_byte(struct sq_bytes name, const char **why)
{
	if (memchr(name.p, '+', name.len) != NULL || memchr(name.p, '#', name.len) != NULL)
		return topic_fail(SQ_EINVAL, why, "a topic name must not contain + or #");
	return topic_fail(SQ_EINVAL, why, "a topic name must not contain U+0000");
}

int
sq_topic_name_check_levels(struct sq_bytes name, unsigned max, const char **why)
{
	uint64_t found = 1;

	if (name.len == 0)
		return topic_fail(SQ_EINVAL, why, "a topic name must not be empty");
	if (name.len > SQ_TOPIC_MAX)
		return topic_fail(SQ_ETOOBIG, why, "a topic name has at most 65535 bytes");
	for (size_t i = 0; i < name.len; i++)
		found += topic_counts[name.p[i]];
	if (found >= TOPIC_BAD)
		return topic_bad_byte(name, why);
	if (found > max)
		return topic_fail(SQ_ETOOBIG, why, "the topic name has too many levels");
	return 0;
}

const char *
sq_topic_reserved(struct sq_bytes name)
{
	static const char *const words[] = {"$SYS", "$share", "$tag", "$queue"};
	struct sq_bytes first;

	if (name.len == 0 || name.p[0] != '$')
		return NULL;
	first = topic_head(name);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (sq_bytes_are(first, words[i]))
			return "nobody publishes to topics below $SYS, $share, $tag and $queue";
	}
	return NULL;
}

bool
sq_topic_is_dead(struct sq_bytes name)
{
	return TOPIC_STARTS(name, "$dead") && topic_head(name).len == sizeof "$dead" - 1;
}

bool
sq_topic_is_reply(struct sq_bytes name)
{
	return TOPIC_STARTS(name, "$reply") && topic_head(name).len == sizeof "$reply" - 1;
}

const char *
sq_topic_closed(struct sq_bytes name)
{
	if (sq_topic_is_dead(name))
		return "$dead is for dead letters, which the broker alone publishes";
	return sq_topic_reserved(name);
}

/* A filter without prefixes: its form; '*levels' is how many it has. */
static int
topic_form(struct sq_bytes in, bool *wildcard, size_t *levels, const char **why)
{
	size_t start = 0; /* of the level */

	*wildcard = false;
	*levels = 1;
	if (in.len == 0)
		return topic_fail(SQ_EINVAL, why, "a topic filter must not be empty");
	for (size_t i = 0; i < in.len; i++) {
		switch (in.p[i]) {
		case '/':
			(*levels)++;
			start = i + 1;
			break;
		case '+':
			if (i != start || (i + 1 < in.len && in.p[i + 1] != '/'))
				return topic_fail(SQ_EINVAL, why, "+ must fill a whole level");
			*wildcard = true;
			break;
		case '#':
			if (i != start)
				return topic_fail(SQ_EINVAL, why, "# must fill a whole level");
			if (i + 1 < in.len)
				return topic_fail(SQ_EINVAL, why, "# must be the last character");
			*wildcard = true;
			break;
		case 0:
			return topic_fail(SQ_EINVAL, why, "a topic filter must not contain U+0000");
		default:
			break;
		}
	}
	return 0;
}

static int
topic_plain(struct sq_topic_filter *f, const char **why)
{
	size_t levels;
	int err = topic_form(f->filter, &f->wildcard, &levels, why);

	if (err == 0 && levels > SQ_TOPIC_LEVELS_MAX)
		return topic_fail(SQ_ETOOBIG, why, "the topic filter has too many levels");
	f->levels = (uint16_t)levels;
	return err;
}

/* Whether 'b' has a character that neither share names nor tags may have. */
static bool
topic_special(struct sq_bytes b)
{
	for (size_t i = 0; i < b.len; i++) {
		if (b.p[i] == '+' || b.p[i] == '#' || b.p[i] == '/' || b.p[i] == 0)
			return true;
	}
	return false;
}

int
sq_topic_tag_check(struct sq_bytes tag, const char **why)
{
	if (tag.len == 0)
		return topic_fail(SQ_EINVAL, why, "a tag must not be empty");
	if (tag.len > SQ_TOPIC_TAG_MAX)
		return topic_fail(SQ_ETOOBIG, why, "a tag has at most 255 bytes");
	if (topic_special(tag))
		return topic_fail(SQ_EINVAL, why, "a tag must not contain / + # or U+0000");
	return 0;
}

/* Takes "$share/<name>/" off 'rest'. */
static int
topic_share(struct sq_bytes *rest, struct sq_bytes *share, const char **why)
{
	struct sq_bytes b = topic_skip(*rest, sizeof "$share/" - 1);

	*share = topic_head(b);
	if (share->len == 0)
		return topic_fail(SQ_EINVAL, why, "a share name must not be empty");
	if (topic_special(*share))
		return topic_fail(SQ_EINVAL, why, "a share name must not contain + # or U+0000");
	if (share->len + 1 >= b.len)
		return topic_fail(SQ_EINVAL, why, "a filter must follow the share name");
	*rest = topic_skip(b, share->len + 1);
	return 0;
}

/* Takes "$tag/<tag>/" off 'rest', which becomes "#" where nothing follows. */
static int
topic_tag(struct sq_bytes *rest, struct sq_bytes *tag, const char **why)
{
	struct sq_bytes b;
	int err;

	if (rest->len == sizeof "$tag" - 1)
		return topic_fail(SQ_EINVAL, why, "$tag must be followed by / and a tag");
	b = topic_skip(*rest, sizeof "$tag/" - 1);
	*tag = topic_head(b);
	err = sq_topic_tag_check(*tag, why);
	if (err < 0)
		return err;
	if (tag->len == b.len) {
		*rest = (struct sq_bytes){(const unsigned char *)"#", 1};
		return 0;
	}
	*rest = topic_skip(b, tag->len + 1);
	return 0;
}

int
sq_topic_filter_form(struct sq_bytes in, bool shared, const char **why)
{
	struct sq_bytes share;
	size_t levels;
	bool wildcard;

	if (shared && TOPIC_STARTS(in, "$share/")) {
		int err = topic_share(&in, &share, why);

		if (err < 0)
			return err;
	}
	return topic_form(in, &wildcard, &levels, why);
}

int
sq_topic_filter_parse(struct sq_bytes in, struct sq_topic_filter *out, const char **why)
{
	struct sq_topic_filter f = {.filter = in};
	int err;

	if (in.len == 0)
		return topic_fail(SQ_EINVAL, why, "a topic filter must not be empty");
	if (in.len > SQ_TOPIC_MAX)
		return topic_fail(SQ_ETOOBIG, why, "a topic filter has at most 65535 bytes");
	if (TOPIC_STARTS(in, "$share/")) {
		err = topic_share(&f.filter, &f.share, why);
		if (err < 0)
			return err;
	}
	if (TOPIC_STARTS(f.filter, "$tag") && (f.filter.len == 4 || f.filter.p[4] == '/')) {
		err = topic_tag(&f.filter, &f.tag, why);
		if (err < 0)
			return err;
	}
	/* What is left selects topics, and none can be meant to start so. */
	if ((f.share.len > 0 || f.tag.len > 0) &&
	    (TOPIC_STARTS(f.filter, "$share/") || TOPIC_STARTS(f.filter, "$tag/")))
		return topic_fail(SQ_EINVAL, why, "$share and $tag stand in this order, once each");
	err = topic_plain(&f, why);
	if (err < 0)
		return err;
	*out = f;
	return 0;
}

bool
sq_topic_match(struct sq_bytes filter, struct sq_bytes topic)
{
	size_t f = 0, t = 0;

	if (filter.len == 0 || topic.len == 0)
		return false;
	/* MQTT-4.7.2-1 */
	if (topic.p[0] == '$' && (filter.p[0] == '+' || filter.p[0] == '#'))
		return false;
	while (f < filter.len) {
		if (filter.p[f] == '#')
			return true;
		if (filter.p[f] == '+') {
			while (t < topic.len && topic.p[t] != '/')
				t++;
			f++;
		} else if (t < topic.len && filter.p[f] == topic.p[t]) {
			f++;
			t++;
		} else {
			/* "a/#" selects its parent "a", §4.7.1.2 */
			return t == topic.len && f + 2 == filter.len && filter.p[f] == '/' &&
			    filter.p[f + 1] == '#';
		}
	}
	return t == topic.len;
}

/* Takes the first level off '*rest'; false: there is none left. */
static bool
topic_level(struct sq_bytes *rest, bool *more, struct sq_bytes *level)
{
	if (!*more)
		return false;
	*level = topic_head(*rest);
	*more = level->len < rest->len;
	*rest = topic_skip(*rest, level->len + *more);
	return true;
}

static bool
topic_is(struct sq_bytes level, char c)
{
	return level.len == 1 && level.p[0] == (unsigned char)c;
}

bool
sq_topic_covers(struct sq_bytes wide, struct sq_bytes narrow)
{
	/* What # is where a topic begins, and behind a first level that is empty: no topic
	 * is empty. */
	static const unsigned char any[] = "+/#", any_second[] = "/+/#";
	bool more_w = true, more_n = true, has_n;
	struct sq_bytes w, n;

	if (narrow.len == 0 || wide.len == 0)
		return false;
	if (narrow.p[0] == '$' && (wide.p[0] == '+' || wide.p[0] == '#')) /* MQTT-4.7.2-1 */
		return false;
	if (narrow.len == 1 && narrow.p[0] == '#')
		narrow = (struct sq_bytes){any, sizeof any - 1};
	if (narrow.len == 2 && memcmp(narrow.p, "/#", 2) == 0)
		narrow = (struct sq_bytes){any_second, sizeof any_second - 1};
	while (topic_level(&wide, &more_w, &w)) {
		if (topic_is(w, '#'))
			return true;
		has_n = topic_level(&narrow, &more_n, &n);
		if (!has_n || topic_is(n, '#'))
			return false;
		if (topic_is(w, '+'))
			continue;
		if (w.len != n.len || memcmp(w.p, n.p, w.len) != 0)
			return false;
	}
	return !more_n;
}

static bool
topic_is_any(struct sq_bytes level)
{
	return topic_is(level, '+') || topic_is(level, '#');
}

bool
sq_topic_overlaps(struct sq_bytes a, struct sq_bytes b)
{
	bool more_a = true, more_b = true, has_a, has_b;
	struct sq_bytes x, y;
	bool empty = false; /* the first level is */

	if (a.len == 0 || b.len == 0)
		return false;
	if ((a.p[0] == '$' && topic_is_any(topic_head(b))) ||
	    (b.p[0] == '$' && topic_is_any(topic_head(a)))) /* MQTT-4.7.2-1 */
		return false;
	for (unsigned level = 0;; level++) {
		has_a = topic_level(&a, &more_a, &x);
		has_b = topic_level(&b, &more_b, &y);
		if (!has_a && !has_b)
			return true;
		if ((has_a && topic_is(x, '#')) || (has_b && topic_is(y, '#'))) {
			/* "a/#" selects "a", but of one empty level there is no topic. */
			return level != 1 || !empty || (has_a && has_b);
		}
		if (!has_a || !has_b)
			return false;
		if (!topic_is(x, '+') && !topic_is(y, '+') &&
		    (x.len != y.len || memcmp(x.p, y.p, x.len) != 0))
			return false;
		empty = level == 0 && (x.len == 0 || y.len == 0);
	}
}
