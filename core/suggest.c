#include "core/suggest.h"

#include <stdint.h>

static unsigned
suggest_min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Edits between two words: insert, delete, replace, swap neighbours. */
static unsigned
suggest_distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned rows[3][SQ_SUGGEST_MAX + 1];

	for (unsigned j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= na; i++) {
		unsigned *cur = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];

		cur[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			cur[j] = suggest_min(
			    suggest_min(cur[j - 1], up[j]) + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				cur[j] = suggest_min(cur[j], up2[j - 2] + 1);
		}
	}
	return rows[na % 3][nb];
}

struct sq_suggest
sq_suggest_start(const char *written, size_t len)
{
	unsigned below = len <= SQ_SUGGEST_MAX ? 2 + (unsigned)len / 4 : 0;

	return (struct sq_suggest){.written = written, .len = len, .below = below};
}

void
sq_suggest_offer(
    struct sq_suggest *s, const char *spelled, size_t len, const char *word, size_t word_len)
{
	unsigned d;

	if (s->below == 0 || len > SQ_SUGGEST_MAX)
		return;
	d = suggest_distance(s->written, s->len, spelled, len);
	if (d >= s->below || d >= len) /* no letter of the word was written */
		return;
	s->below = d;
	s->best = word;
	s->best_len = word_len;
}
