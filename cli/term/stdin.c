#include "cli/term/stdin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { STDIN_READ = 65536 };

static int
stdin_too_long(struct sq_buf *err)
{
	sq_buf_printf(
	    err, "standard input: a message of more than %d MiB", SQ_STDIN_MESSAGE_MAX >> 20);
	return SQ_ETOOBIG;
}

static int
stdin_failed(struct sq_buf *err)
{
	sq_buf_printf(err, "standard input: %s", strerror(errno));
	return SQ_EIO;
}

int
sq_stdin_whole(struct sq_buf *out, struct sq_buf *err)
{
	size_t n;

	do {
		n = fread(sq_buf_reserve(out, STDIN_READ), 1, STDIN_READ, stdin);
		sq_buf_commit(out, n);
	} while (n > 0 && sq_buf_len(out) <= SQ_STDIN_MESSAGE_MAX);
	if (ferror(stdin))
		return stdin_failed(err);
	return sq_buf_len(out) > SQ_STDIN_MESSAGE_MAX ? stdin_too_long(err) : SQ_OK;
}

int
sq_stdin_line(struct sq_buf *line, bool *end, struct sq_buf *err)
{
	int c;

	sq_buf_drain(line, sq_buf_len(line));
	*end = false;
	while ((c = getchar_unlocked()) != EOF && c != '\n') {
		sq_buf_u8(line, (uint8_t)c);
		if (sq_buf_len(line) > SQ_STDIN_MESSAGE_MAX)
			return stdin_too_long(err);
	}
	*end = c == EOF && sq_buf_len(line) == 0;
	return c == EOF && ferror(stdin) ? stdin_failed(err) : SQ_OK;
}
