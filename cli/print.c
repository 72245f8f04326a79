#include "cli/print.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool
sq_say_usage(const char *what, const char *detail)
{
	fprintf(stderr, "sqmqos: %s%s; try sqmqos --help\n", what, detail);
	return false;
}

bool
sq_say_usage_of(struct sq_buf *what)
{
	sq_buf_u8(what, '\0');
	sq_say_usage((const char *)sq_buf_data(what), "");
	sq_buf_fini(what);
	return false;
}

int
sq_print(struct sq_buf *out, struct sq_buf *err, int code, int failed)
{
	size_t len = sq_buf_len(out);

	if ((len > 0 && fwrite(sq_buf_data(out), 1, len, stdout) != len) || fflush(stdout) != 0) {
		sq_buf_printf(err, "standard output: %s", strerror(errno));
		code = failed;
	}
	if (sq_buf_len(err) > 0)
		fprintf(
		    stderr, "sqmqos: %.*s\n", (int)sq_buf_len(err), (const char *)sq_buf_data(err));
	sq_buf_fini(out);
	sq_buf_fini(err);
	return code;
}
