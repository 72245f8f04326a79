/* "Did you mean X?": the known word that is nearest to a word as written. */
#ifndef SQ_CORE_SUGGEST_H
#define SQ_CORE_SUGGEST_H

#include <stddef.h>

enum { SQ_SUGGEST_MAX = 96 }; /* bytes of a word; a longer one is near to nothing */

/* One search.  'best' is the nearest word so far, NULL: none is near. */
struct sq_suggest {
	const char *written;
	size_t len;
	unsigned below; /* edits: a word must be nearer than this */
	const char *best;
	size_t best_len;
};

/* Starts a search for words near to 'written', which outlives the search: a quarter of its letters
 * and one more may differ. */
struct sq_suggest sq_suggest_start(const char *written, size_t len);
/* Offers a known word in its spelling 'spelled'; the search remembers it by 'word' (the same, or
 * another spelling).  Of equally near words the first one counts. */
void sq_suggest_offer(
    struct sq_suggest *, const char *spelled, size_t len, const char *word, size_t word_len);

#endif
