/* Core dumps; see core/dumps.h. */
#include "core/dumps.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#ifdef SQ_WATCHED
enum { DUMPS_WATCHED = true };
#else
enum { DUMPS_WATCHED = false };
#endif

void
sq_dumps_set(bool allowed)
{
	if (allowed || DUMPS_WATCHED)
		return;
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	(void)prctl(PR_SET_DUMPABLE, 0);
}
