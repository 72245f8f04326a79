/* "Did you mean X?": of some known words the one that is nearest to what was written. */
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

/* Starts a search for what is near to 'written', which must stay: a quarter of its
 * letters and one may differ. */
struct sq_suggest sq_suggest_start(const char *written, size_t len);
/* Offers a word as it would be written, of which 'word' is what the search remembers
 * (the same, or another spelling of it); of equally near words the first counts. */
void sq_suggest_offer(
    struct sq_suggest *, const char *spelled, size_t len, const char *word, size_t word_len);

#endif
