#include "core/program.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "core/log.h"

bool
sq_program_help(const struct sq_program *p, int argc, char **argv)
{
	struct sq_buf out = {0};

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			sq_buf_append(&out, p->usage, strlen(p->usage));
			sq_config_help(p->keys, p->n_keys, &out);
		} else if (strcmp(argv[i], "--help-markdown") == 0) {
			sq_config_markdown(p->keys, p->n_keys, &out);
		} else if (strcmp(argv[i], "--version") == 0) {
			sq_buf_printf(&out, "%s %s\n", p->name, SQ_VERSION);
		} else {
			continue;
		}
		fwrite(sq_buf_data(&out), 1, sq_buf_len(&out), stdout);
		fflush(stdout);
		sq_buf_fini(&out);
		return true;
	}
	return false;
}

bool
sq_program_flag(int *argc, char **argv, const char *flag)
{
	int n = 1;

	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], flag) != 0)
			argv[n++] = argv[i];
	}
	if (n == *argc)
		return false;
	*argc = n;
	argv[n] = NULL;
	return true;
}

int
sq_program_value(int *argc, char **argv, const char *flag, const char **value, struct sq_buf *err)
{
	size_t len = strlen(flag);
	int n = 1;

	*value = NULL;
	for (int i = 1; i < *argc; i++) {
		const char *found = NULL;

		if (strcmp(argv[i], flag) == 0)
			found = i + 1 < *argc ? argv[++i] : "";
		else if (strncmp(argv[i], flag, len) == 0 && argv[i][len] == '=')
			found = argv[i] + len + 1;
		else
			argv[n++] = argv[i];
		if (found != NULL && (*found == '\0' || *value != NULL)) {
			sq_buf_printf(
			    err, "%s: %s", flag, *value != NULL ? "given twice" : "needs a value");
			return SQ_EINVAL;
		}
		*value = found != NULL ? found : *value;
	}
	*argc = n;
	argv[n] = NULL;
	return SQ_OK;
}

bool
sq_program_check_only(int *argc, char **argv)
{
	return sq_program_flag(argc, argv, "--check-config");
}

void
sq_program_problem(struct sq_buf *problems, struct sq_buf *why)
{
	if (sq_buf_len(why) > 0) {
		if (sq_buf_len(problems) > 0)
			sq_buf_u8(problems, '\n');
		sq_buf_append(problems, sq_buf_data(why), sq_buf_len(why));
	}
	sq_buf_fini(why);
}

int
sq_program_checked(
    const struct sq_program *p, bool check_only, struct sq_buf *notes, struct sq_buf *problems)
{
	int code = -1;

	if (sq_buf_len(problems) > 0) {
		code = sq_program_fail(p, SQ_EXIT_CONFIG, problems);
	} else if (check_only) {
		printf("%s: the configuration is good%.*s\n", p->name, (int)sq_buf_len(notes),
		    (const char *)sq_buf_data(notes));
		fflush(stdout);
		code = 0;
	}
	sq_buf_fini(notes);
	return code;
}

int
sq_program_fail(const struct sq_program *p, int code, struct sq_buf *err)
{
	const char *at, *end;

	sq_buf_u8(err, '\0');
	for (at = (const char *)sq_buf_data(err); at != NULL; at = *end != '\0' ? end + 1 : NULL) {
		end = strchrnul(at, '\n');
		if (sq_log_format() == SQ_LOG_JSON)
			sq_log(SQ_LOG_ERROR, p->name, "%.*s", (int)(end - at), at);
		else
			fprintf(stderr, "%s: %.*s\n", p->name, (int)(end - at), at);
	}
	sq_buf_fini(err);
	return code;
}

void
sq_program_raise_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}
