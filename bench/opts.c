#include "bench/opts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void
sq_opts_die(const char *what, const char *arg)
{
	const char *program = program_invocation_short_name;

	fprintf(stderr, "%s: %s: %s\nTry %s --help.\n", program, what, arg, program);
	exit(2);
}

uint64_t
sq_opts_uint(const char *name, const char *arg, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(arg, &end, 10);
	if (errno != 0 || end == arg || *end != '\0' || arg[0] == '-' || v < min || v > max)
		sq_opts_die(name, arg);
	return v;
}
