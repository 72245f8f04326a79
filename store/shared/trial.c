#include "store/shared/trial.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "store/shared/rule.h"

#ifdef SQ_FAULTS
enum { TRIAL_LINE = 64 };

static int trial_file = -1;

void
sq_trial_applies(uint64_t lsn, uint64_t chain, bool own)
{
	const char *path = getenv("SQMQOS_HISTORY");
	char line[TRIAL_LINE];
	int n;

	if (path == NULL)
		return;
	if (trial_file < 0)
		trial_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	n = snprintf(
	    line, sizeof line, "%" PRIu64 " %016" PRIx64 " %c\n", lsn, chain, own ? 'o' : 'f');
	if (write(trial_file, line, (size_t)n) != n)
		SQ_ERROR("log", "the history of a test can't be written");
}

unsigned
sq_trial_format(unsigned format)
{
	const char *newest = getenv("SQMQOS_RECORDS");

	return newest != NULL ? (unsigned)strtoul(newest, NULL, 10) : format;
}
#endif

#ifdef SQ_RULE_BROKEN
static bool
trial_breaks(const char *name)
{
	const char *broken = getenv("SQMQOS_BROKEN");

	return broken != NULL && strcmp(broken, name) == 0;
}

void
sq_trial_break(struct sq_rule *r)
{
	sq_rule_break(r,
	    &(struct sq_rule_broken){.no_sure = trial_breaks("no_sure"),
		.no_barrier = trial_breaks("no_barrier"),
		.no_expect = trial_breaks("no_expect")});
}
#endif
