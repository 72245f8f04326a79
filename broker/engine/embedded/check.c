#include "broker/engine/embedded/check.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/engine/embedded/table.h"
#include "core/buf.h"
#include "store/dir.h"
#include "store/journal/journal.h"

/* The report of the child process. */
struct check_found {
	bool ended;
	unsigned faults;
	struct sq_table_meta meta;
};

static void
check_line(void *arg, const char *text)
{
	fprintf(arg, "%s\n", text);
}

static void
check_tables(const char *dir, FILE *out, struct check_found *found)
{
	struct sq_buf err = {0};
	struct sq_table *t;

	if (sq_table_open(&t, dir, 0, true, &err) == SQ_OK) {
		found->meta = sq_table_meta(t);
		found->faults = sq_table_check(t, check_line, out);
		sq_table_close(&t);
	} else {
		fprintf(out, "%.*s\n", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
		found->faults = 1;
	}
	sq_buf_fini(&err);
	fflush(out);
	found->ended = true;
}

/* Runs in a process of its own, because damage may end the process. */
static unsigned
check_tables_apart(const char *dir, FILE *out, struct sq_table_meta *meta)
{
	struct check_found *found = mmap(
	    NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned faults = 1;
	int status = 0;
	pid_t child;

	if (found == MAP_FAILED) {
		fprintf(out, "tables: %s\n", strerror(errno));
		return 1;
	}
	fflush(out);
	child = fork();
	if (child == 0) {
		check_tables(dir, out, found);
		_exit(0);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	if (child < 0)
		fprintf(out, "tables: %s\n", strerror(errno));
	else if (!found->ended)
		fprintf(out, "tables: damaged so that reading them ended by signal %d\n",
		    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	else
		faults = found->faults;
	*meta = found->meta;
	munmap(found, sizeof *found);
	return faults;
}

int
sq_store_check(const char *dir, FILE *out)
{
	struct sq_buf err = {0};
	unsigned faults;
	struct sq_table_meta meta = {0};
	struct stat st;
	int lock;

	if (stat(dir, &st) != 0) {
		fprintf(out, "%s: %s\n", dir, strerror(errno));
		return 1;
	}
	lock = sq_store_lock(dir, &err);
	if (lock < 0) {
		fprintf(out, "%.*s\n", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
		sq_buf_fini(&err);
		return 1;
	}
	faults = check_tables_apart(dir, out, &meta);
	if (!meta.shared) /* else the log is elsewhere */
		faults += sq_journal_check(dir, meta.store, meta.lsn, check_line, out);
	sq_store_unlock(&lock);
	if (faults == 0)
		fprintf(out, "%s: sound\n", dir);
	else
		fprintf(out, "%s: %u faults\n", dir, faults);
	return faults == 0 ? 0 : 1;
}
