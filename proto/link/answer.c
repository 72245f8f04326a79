/* See proto/link/answer.h. */
#include "proto/link/answer.h"

#include <assert.h>
#include <string.h>

#include "core/mem.h"

#define CONFLICT_WORD(symbol, word) [SQ_CONFLICT_##symbol] = word,
#define DENIED_WORD(symbol, word) [SQ_DENIED_##symbol] = word,
#define FULL_WORD(symbol, word) [SQ_FULL_##symbol] = word,

static const char *const conflicts[] = {"", SQ_CONFLICTS(CONFLICT_WORD)};
static const char *const denials[] = {"", SQ_DENIALS(DENIED_WORD)};
static const char *const fulls[] = {"", "", SQ_FULLS(FULL_WORD)};

static unsigned
answer_find(const char *const *words, size_t n, const void *word, size_t len)
{
	for (unsigned i = 1; len > 0 && i < n; i++)
		if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0)
			return i;
	return 0;
}

const char *
sq_conflict_name(enum sq_conflict c)
{
	assert(c < SQ_ARRAY_LEN(conflicts));
	return conflicts[c];
}

const char *
sq_denied_name(enum sq_denied d)
{
	assert(d < SQ_ARRAY_LEN(denials));
	return denials[d];
}

const char *
sq_full_name(enum sq_full f)
{
	assert(f < SQ_ARRAY_LEN(fulls));
	return fulls[f];
}

enum sq_conflict
sq_conflict_find(const void *word, size_t len)
{
	return (enum sq_conflict)answer_find(conflicts, SQ_ARRAY_LEN(conflicts), word, len);
}

enum sq_denied
sq_denied_find(const void *word, size_t len)
{
	return (enum sq_denied)answer_find(denials, SQ_ARRAY_LEN(denials), word, len);
}

enum sq_full
sq_full_find(const void *word, size_t len)
{
	return (enum sq_full)answer_find(fulls, SQ_ARRAY_LEN(fulls), word, len);
}
