/* The topic of an event by a template. */
#include <string.h>

#include "proto/cloudevents/cloudevents_priv.h"
#include "proto/topic/topic.h"

static const char *const places[] = {"{ce.type}", "{ce.source}", "{ce.subject}"};
enum { PLACES = sizeof places / sizeof places[0] };

/* Which place the template has here; PLACES: none. */
static size_t
topic_place(const char *tmpl)
{
	size_t i = 0;

	while (i < PLACES && strncmp(tmpl, places[i], strlen(places[i])) != 0)
		i++;
	return i;
}

static void
topic_level(struct sq_buf *out, struct sq_bytes text)
{
	if (text.len == 0)
		sq_buf_u8(out, '_');
	for (size_t i = 0; i < text.len; i++)
		sq_buf_u8(out, memchr("/+#", text.p[i], 3) != NULL ? '_' : text.p[i]);
}

int
sq_ce_topic_check(const char *tmpl, const char **why)
{
	struct sq_buf topic = {0};
	const char *p = tmpl;
	int err;

	while (*p != '\0') {
		size_t place = topic_place(p);

		if (place == PLACES && (*p == '{' || *p == '}')) {
			*why = "in braces stands ce.type, ce.source or ce.subject";
			sq_buf_fini(&topic);
			return SQ_EINVAL;
		}
		sq_buf_u8(&topic, place < PLACES ? (uint8_t)'_' : (uint8_t)*p);
		p += place < PLACES ? strlen(places[place]) : 1;
	}
	err = sq_topic_name_check(sq_buf_bytes(&topic), why);
	sq_buf_fini(&topic);
	return err != 0 ? SQ_EINVAL : 0;
}

int
sq_ce_topic(const struct sq_ce *ce, const char *tmpl, struct sq_buf *out)
{
	const struct sq_bytes values[PLACES] = {ce->type, ce->source, ce->subject};
	size_t before = sq_buf_len(out);

	while (*tmpl != '\0') {
		size_t place = topic_place(tmpl);

		if (place < PLACES)
			topic_level(out, values[place]);
		else
			sq_buf_u8(out, (uint8_t)*tmpl);
		tmpl += place < PLACES ? strlen(places[place]) : 1;
	}
	if (sq_buf_len(out) - before <= SQ_TOPIC_MAX)
		return 0;
	out->end -= sq_buf_len(out) - before;
	return SQ_ETOOBIG;
}
