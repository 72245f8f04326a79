/* What the program does with a log of several brokers aside from serving. */
#include "broker/program/program.h"

#include <stdio.h>

#include "broker/config/config.h"
#include "broker/program/main_priv.h"
#include "broker/program/moves.h"
#include "broker/program/shared.h"
#include "core/memory.h"
#include "store/shared/check.h"
#include "store/shared/log_shared.h"

static void
log_no_news(void *owner)
{
	(void)owner;
}

static bool
log_not_ending(void *owner)
{
	(void)owner;
	return false;
}

/* NULL with a line in 'err'. */
static struct sq_main_shared *
log_open(const struct sq_broker_config *c, const char *flag, struct sq_buf *err)
{
	const struct sq_main_shared_cfg cfg = {
	    .config = c, .wake = log_no_news, .working = log_no_news, .ending = log_not_ending};

	if (c->log.kind != SQ_BROKER_LOG_LOCAL)
		return sq_main_shared_new(&cfg, err);
	sq_buf_printf(err, "%s: log.kind is local, a log in store.dir", flag);
	return NULL;
}

int
sq_main_log_schema(const struct sq_program *self, const struct sq_broker_config *c)
{
	struct sq_buf err = {0}, out = {0};
	struct sq_main_shared *s = log_open(c, "--log-schema", &err);

	if (s == NULL)
		return sq_program_fail(self, SQ_EXIT_CONFIG, &err);
	sq_main_shared_schema(s, &out);
	printf("%.*s", (int)sq_buf_len(&out), (const char *)sq_buf_data(&out));
	fflush(stdout);
	sq_buf_fini(&out);
	sq_main_shared_free(&s);
	return 0;
}

int
sq_main_check_log(const struct sq_program *self, const struct sq_broker_config *c)
{
	struct sq_buf err = {0};
	struct sq_main_shared *s = log_open(c, "--check-log", &err);
	int code;

	if (s == NULL)
		return sq_program_fail(self, SQ_EXIT_CONFIG, &err);
	code = sq_shared_check(
	    sq_main_shared_log(s)->driver, sq_main_shared_log(s)->driver_cfg, stdout);
	fflush(stdout);
	sq_main_shared_free(&s);
	return code;
}

static int
log_export(
    struct sq_main_shared *s, const struct sq_broker_config *c, bool again, struct sq_buf *err)
{
	const struct sq_log_shared_cfg *log = sq_main_shared_log(s);
	int rc = sq_main_may_export(c, log, again, err);

	if (rc == SQ_OK)
		rc = sq_main_shared_find(s, err); /* the directory may have less, or nothing */
	return rc == SQ_OK ? sq_main_export(c, log, again, err) : rc;
}

/* SQ_OK, or an error with a line in 'err'; 'said' gets lines. */
static int
log_move(struct sq_main_shared *s, const struct sq_broker_config *c, const struct sq_main_moves *m,
    struct sq_buf *said, struct sq_buf *err)
{
	if (m->import)
		return sq_main_import(c, sq_main_shared_log(s), err);
	if (m->export)
		return log_export(s, c, m->accept, err);
	return sq_main_accept_loss(c, sq_main_shared_log(s), said, err);
}

int
sq_main_move(
    const struct sq_program *self, struct sq_broker_config *c, const struct sq_main_moves *m)
{
	const char *flag = m->import ? "--log-import"
	    : m->export              ? "--log-export"
				     : "--accept-loss";
	struct sq_buf err = {0}, said = {0};
	struct sq_main_shared *s;
	int rc;

	sq_memory_start();
	sq_main_memory(c);
	s = log_open(c, flag, &err);
	if (s == NULL)
		return sq_program_fail(self, SQ_EXIT_CONFIG, &err);
	rc = log_move(s, c, m, &said, &err);
	if (rc != SQ_OK && sq_buf_len(&err) == 0)
		sq_buf_printf(&err, "%s: the log can't be reached", flag);
	sq_main_shared_free(&s);
	printf("%.*s", (int)sq_buf_len(&said), (const char *)sq_buf_data(&said));
	fflush(stdout);
	sq_buf_fini(&said);
	return rc == SQ_OK ? 0 : sq_program_fail(self, SQ_EXIT_FAILED, &err);
}
