#include <string.h>

#include <criterion/criterion.h>

#include "core/suggest.h"

/* The nearest of some words, as text; "": none is near. */
static const char *
nearest(const char *written, const char *const *words)
{
	static char out[SQ_SUGGEST_MAX + 1];
	struct sq_suggest s = sq_suggest_start(written, strlen(written));

	for (; *words != NULL; words++)
		sq_suggest_offer(&s, *words, strlen(*words), *words, strlen(*words));
	memcpy(out, s.best != NULL ? s.best : "", s.best_len);
	out[s.best_len] = '\0';
	return out;
}

static const char *const words[] = {"qos", "key", "delay", "receipt", NULL};

Test(suggest, an_edit_or_two_are_near)
{
	cr_expect_str_eq(nearest("key", words), "key");
	cr_expect_str_eq(nearest("kye", words), "key", "neighbours are swapped");
	cr_expect_str_eq(nearest("keys", words), "key");
	cr_expect_str_eq(nearest("ky", words), "key");
	cr_expect_str_eq(nearest("delays", words), "delay");
	cr_expect_str_eq(nearest("reciept", words), "receipt");
	cr_expect_str_eq(nearest("receit", words), "receipt");
}

Test(suggest, what_is_another_word_is_not_near)
{
	cr_expect_str_eq(nearest("ttl", words), "");
	cr_expect_str_eq(nearest("", words), "");
	cr_expect_str_eq(nearest("retain", words), "");
	cr_expect_str_eq(
	    nearest("a", (const char *const[]){"b", NULL}), "", "no letter is the same");
}

Test(suggest, of_equally_near_ones_the_first_counts)
{
	cr_expect_str_eq(nearest("cat", (const char *const[]){"bat", "hat", NULL}), "bat");
	cr_expect_str_eq(nearest("hat", (const char *const[]){"bat", "hat", NULL}), "hat");
}

Test(suggest, words_have_a_longest)
{
	char written[SQ_SUGGEST_MAX + 2], word[SQ_SUGGEST_MAX + 2];

	memset(written, 'x', sizeof written);
	written[SQ_SUGGEST_MAX] = '\0';
	memcpy(word, written, sizeof word);
	word[0] = 'y';
	cr_expect_str_eq(nearest(written, (const char *const[]){word, NULL}), word);
	written[SQ_SUGGEST_MAX] = 'x';
	written[SQ_SUGGEST_MAX + 1] = '\0';
	cr_expect_str_eq(nearest(written, (const char *const[]){word, NULL}), "");
	word[SQ_SUGGEST_MAX] = 'x';
	word[SQ_SUGGEST_MAX + 1] = '\0';
	written[SQ_SUGGEST_MAX] = '\0';
	cr_expect_str_eq(nearest(written, (const char *const[]){word, NULL}), "");
}
