/* Names by pattern; see glob.h. */
#include "core/glob.h"

#include <stddef.h>

/* Behind the character at 's', which has one. */
static const char *
glob_next(const char *s)
{
	for (s++; ((unsigned char)*s & 0xc0) == 0x80; s++)
		;
	return s;
}

bool
sq_glob_match(const char *glob, const char *text)
{
	const char *star = NULL, *tried = NULL; /* behind the last '*', and what it ends before */

	while (*text != '\0') {
		if (*glob == '*') {
			star = ++glob;
			tried = text;
		} else if (*glob == '?') {
			glob++;
			text = glob_next(text);
		} else if (*glob == *text) {
			glob++;
			text++;
		} else if (star != NULL) { /* the last '*' takes one more */
			glob = star;
			text = tried = glob_next(tried);
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}
