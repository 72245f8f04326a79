/* What the tests of the index share: entries that count their hits, and random
 * topics. */
#ifndef SQ_TEST_TOPIC_ITEMS_H
#define SQ_TEST_TOPIC_ITEMS_H

#include <stdint.h>
#include <string.h>

#include "proto/topic/index.h"

struct item {
	struct sq_index_entry entry;
	char text[48];
	char tag[4];
	unsigned hits;
};

static uint64_t seed;

static inline unsigned
rnd(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 33) % below);
}

static inline struct sq_bytes
bytes(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static inline void
hit(struct sq_index_entry *e, void *arg)
{
	SQ_CONTAINER_OF(e, struct item, entry)->hits++;
	++*(size_t *)arg;
}

/* Levels from few words, so that everything meets everything. */
static inline void
random_topic(char *out, bool wild)
{
	static const char *const words[] = {
	    "", "a", "b", "c", "$s", "$", "long-enough-for-two", "+", "+", "#"};
	struct sq_topic_filter f;

	do {
		unsigned n = 1 + rnd(4);

		out[0] = 0;
		for (unsigned i = 0; i < n && strlen(out) < 20; i++) {
			if (i > 0)
				strcat(out, "/");
			strcat(out, words[rnd(wild ? 10 : 7)]);
		}
	} while (wild ? sq_topic_filter_parse(bytes(out), &f, NULL) < 0
		      : sq_topic_name_check(bytes(out), NULL) < 0);
}

static inline void
put(struct sq_topic_index *x, struct item *it, const char *tag, const char *text)
{
	strcpy(it->tag, tag);
	strcpy(it->text, text);
	it->hits = 0;
	sq_topic_index_insert(x, bytes(it->tag), bytes(it->text), &it->entry);
}

#endif
