#include "store/postgres/pg_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For the session, whatever the role or the database has as its default.  Without warnings a commit
 * that nobody has confirmed would look like any other.  Plans are by the keys of tables that were empty
 * when they were made.  Rows that a policy hides are an error, and no end of the log.  A session whose
 * broker is gone ends: it must not wait for a lock for ever, and others behind it, until the server has
 * no room for more. */
static const char settings[] =
    "SET synchronous_commit = on; SET client_min_messages = warning; SET statement_timeout = 0;"
    "SET lock_timeout = 0; SET idle_in_transaction_session_timeout = '5s';"
    "SET default_transaction_isolation = 'read committed'; SET row_security = off;"
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off;"
    "SET search_path = pg_catalog; SET tcp_user_timeout = '10s';"
    "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;"
    "SELECT set_config('client_connection_check_interval', '2s', false)"
    " WHERE current_setting('server_version_num')::int >= 140000;";

static const char look[] =
    "SELECT current_setting('server_version_num')::int, current_setting('fsync'),"
    " current_setting('full_page_writes'), current_setting('synchronous_standby_names') <> '',"
    " current_setting('synchronous_commit'), current_setting('client_min_messages'),"
    " pg_backend_pid(), to_regnamespace('%1$s') IS NOT NULL, to_regclass('%1$s.head') IS NOT NULL";

enum { VERSION, FSYNC, PAGES, STANDBYS, COMMIT, MESSAGES, PID, SCHEMA, TABLES };

static bool
ready_is(const struct sq_shared *c, int column, const char *value)
{
	return strcmp(PQgetvalue(c->results[0], 0, column), value) == 0;
}

/* What a commit is worth there. */
static int
ready_judge(struct sq_shared *c)
{
	const char *what = NULL;

	if (atoi(PQgetvalue(c->results[0], 0, VERSION)) < 130000) {
		sq_pg_say(c, "PostgreSQL 13 or newer is needed");
		return SQ_EINVAL;
	}
	if (!ready_is(c, COMMIT, "on") || !ready_is(c, MESSAGES, "warning")) {
		sq_pg_say(
		    c, "the session's settings do not stay: is there a pooler in front of it?");
		return SQ_EINVAL;
	}
	if (c->cfg->unsafe)
		return SQ_OK;
	/* A pooler greets with a number of its own.  One by transactions sends the next one to a session
	 * without these settings, and with the role's: nothing here would show that. */
	if (atoi(PQgetvalue(c->results[0], 0, PID)) != PQbackendPID(c->pg)) {
		sq_pg_say(c, "a pooler is in front of it: the log needs the server itself");
		return SQ_EINVAL;
	}
	if (!ready_is(c, FSYNC, "on"))
		what = "fsync is off: a crash may lose what it has confirmed";
	else if (!ready_is(c, PAGES, "on") && !c->cfg->managed)
		what = "full_page_writes is off: a crash may damage what it has confirmed";
	else if (!ready_is(c, STANDBYS, "t") && !c->cfg->managed)
		what = "synchronous_standby_names is empty: no second copy confirms what it does; "
		       "a service "
		       "that sees to that otherwise: log.copies: managed; else only by log.unsafe: "
		       "true";
	if (what == NULL)
		return SQ_OK;
	sq_pg_say(c, "%s", what);
	return SQ_EINVAL;
}

/* Makes the schema where it may and must. */
static int
ready_make(struct sq_shared *c)
{
	struct sq_buf sql = {0};
	enum sq_shared_result result;
	bool schema = ready_is(c, SCHEMA, "t");

	if (!c->cfg->make) {
		sq_pg_say(c,
		    "schema %s of database %s has no log: run there what 'sqmqos-broker "
		    "--log-schema' prints",
		    c->schema, PQdb(c->pg));
		return SQ_EINVAL;
	}
	sq_log_postgres_schema(&sql, c->schema, !schema);
	sq_buf_u8(&sql, 0);
	result = sq_pg_script(c, (const char *)sq_buf_data(&sql));
	sq_buf_fini(&sql);
	return result == SQ_SHARED_DONE ? SQ_OK : SQ_EIO;
}

/* A log without a record may be one that no standby has yet: a fail-over would bring another, with another
 * store, and who has a directory of this one could never go on.  A commit of one's own proves that it is
 * there to stay; a record needs none, since an owner's answered claim was before it. */
static int
ready_prove(struct sq_shared *c, const struct sq_shared_head *head)
{
	if (head->last != 0)
		return SQ_OK;
	(void)sq_pg_queue(c, NULL, "UPDATE @.head SET beats = beats WHERE p = 0");
	return sq_pg_run(c) == SQ_SHARED_DONE ? SQ_OK : SQ_EIO;
}

/* The schema's tables are there: whether they are ours, and what they say. */
static int
ready_read(struct sq_shared *c)
{
	struct sq_shared_head head;
	size_t format, at;

	if (sq_pg_segments(c) != SQ_SHARED_DONE || sq_pg_prepare_head(c) != SQ_SHARED_DONE)
		return SQ_EIO;
	format = sq_pg_queue(c, NULL, "SELECT format FROM @.head WHERE p = 0");
	at = sq_pg_queue_head(c);
	if (sq_pg_run(c) != SQ_SHARED_DONE)
		return SQ_EIO;
	if (sq_pg_rows(c, format) != 1 || sq_pg_int(c, format, 0, 0) != SQ_PG_FORMAT) {
		sq_pg_say(c, "schema %s is of another version of sqmqos-broker", c->schema);
		return SQ_EINVAL;
	}
	(void)sq_pg_head(c, at, &head);
	return ready_prove(c, &head);
}

int
sq_pg_ready(struct sq_shared *c)
{
	char sql[sizeof settings + sizeof look + 2 * SQ_PG_SCHEMA];
	int n = snprintf(sql, sizeof sql, "%s", settings), e;

	(void)snprintf(sql + n, sizeof sql - (size_t)n, look, c->schema);
	if (sq_pg_script(c, sql) != SQ_SHARED_DONE || c->results[0] == NULL)
		return SQ_EIO;
	e = ready_judge(c);
	if (e == SQ_OK && !ready_is(c, TABLES, "t"))
		e = ready_make(c);
	if (e != SQ_OK)
		return e;
	sq_pg_clear(c);
	if (PQenterPipelineMode(c->pg) != 1) {
		sq_pg_say_lost(c);
		return SQ_EIO;
	}
	return ready_read(c);
}
