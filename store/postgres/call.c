#include "store/postgres/pg_priv.h"

#include <assert.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/clock.h"

enum {
	SLOWEST = 4 << 10, /* bytes that go in a millisecond, synced by all copies */
	LONGEST = 10,      /* deadlines that an answer may take while it comes */
};
enum { OID_BOOL = 16, OID_BYTEA = 17, OID_INT8 = 20, OID_INT4 = 23, OID_TEXT = 25 };

static const struct sq_pg_args no_args;

static void
args_add(struct sq_pg_args *a, Oid type, const void *value, size_t n)
{
	assert((size_t)a->n < sizeof a->values / sizeof a->values[0]);
	a->types[a->n] = type;
	a->values[a->n] = value;
	a->lengths[a->n] = (int)n;
	a->formats[a->n] = 1;
	a->n++;
}

void
sq_pg_u64(struct sq_pg_args *a, uint64_t v)
{
	sq_put64(a->ints[a->n], v);
	args_add(a, OID_INT8, a->ints[a->n], 8);
}

void
sq_pg_u32(struct sq_pg_args *a, uint32_t v)
{
	sq_put32(a->ints[a->n], v);
	args_add(a, OID_INT4, a->ints[a->n], 4);
}

void
sq_pg_bool(struct sq_pg_args *a, bool v)
{
	a->ints[a->n][0] = v;
	args_add(a, OID_BOOL, a->ints[a->n], 1);
}

void
sq_pg_text(struct sq_pg_args *a, const char *text)
{
	args_add(a, OID_TEXT, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

void
sq_pg_bytea(struct sq_pg_args *a, struct sq_bytes b)
{
	args_add(a, OID_BYTEA, b.len > 0 ? (const void *)b.p : "", b.len);
}

void
sq_pg_clear(struct sq_shared *c)
{
	for (size_t i = 0; i < SQ_PG_RESULTS; i++) {
		PQclear(c->results[i]);
		c->results[i] = NULL;
	}
}

void
sq_pg_begin(struct sq_shared *c)
{
	sq_pg_clear(c);
	c->until_ms = sq_clock_ms() + c->deadline_ms;
	c->last_ms = 0;
	c->doubt = c->silent = c->broken = false;
	c->queued = 0;
	c->state[0] = c->error[0] = '\0';
}

void
sq_pg_sends(struct sq_shared *c, size_t n)
{
	c->until_ms += n / SLOWEST;
}

void
sq_pg_receives(struct sq_shared *c)
{
	c->last_ms = c->until_ms + LONGEST * (uint64_t)c->deadline_ms;
}

/* Something of an answer has come. */
static void
call_goes_on(struct sq_shared *c)
{
	uint64_t until = sq_clock_ms() + c->deadline_ms;

	if (until > c->last_ms)
		until = c->last_ms;
	if (until > c->until_ms)
		c->until_ms = until;
}

void
sq_pg_say(struct sq_shared *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(c->error, sizeof c->error, fmt, args);
	va_end(args);
	c->error[strcspn(c->error, "\r\n")] = '\0';
}

void
sq_pg_say_lost(struct sq_shared *c)
{
	const char *said = PQerrorMessage(c->pg);

	sq_pg_say(c, "%s", said != NULL && said[0] != '\0' ? said : "the connection is lost");
}

bool
sq_pg_wait(struct sq_shared *c, bool reads, bool writes)
{
	struct pollfd p = {.fd = PQsocket(c->pg)};
	uint64_t now = sq_clock_ms();

	if (reads)
		p.events |= POLLIN;
	if (writes)
		p.events |= POLLOUT;
	if (p.fd < 0)
		return true; /* libpq says why */
	if (now >= c->until_ms || poll(&p, 1, (int)(c->until_ms - now)) == 0) {
		c->silent = true;
		sq_pg_say(c, "no answer within %u ms", c->deadline_ms);
		return false;
	}
	return true;
}

static size_t
call_queued(struct sq_shared *c, int sent)
{
	assert(c->queued < SQ_PG_RESULTS);
	if (sent != 1)
		c->broken = true;
	return c->queued++;
}

static void
call_text(const struct sq_shared *c, const char *sql, char out[SQ_PG_SQL])
{
	const char *mark;
	size_t n = 0, schema = strlen(c->schema);

	/* Not by printf: a statement's own text may have a per cent sign. */
	while ((mark = strstr(sql, "@.")) != NULL) {
		assert(n + (size_t)(mark - sql) + schema < SQ_PG_SQL);
		memcpy(out + n, sql, (size_t)(mark - sql));
		n += (size_t)(mark - sql);
		memcpy(out + n, c->schema, schema);
		n += schema;
		sql = mark + 1;
	}
	assert(n + strlen(sql) < SQ_PG_SQL);
	memcpy(out + n, sql, strlen(sql) + 1);
}

size_t
sq_pg_queue(struct sq_shared *c, const struct sq_pg_args *a, const char *sql)
{
	char text[SQ_PG_SQL];

	if (a == NULL)
		a = &no_args;
	call_text(c, sql, text);
	return call_queued(c,
	    PQsendQueryParams(c->pg, text, a->n, a->types, a->values, a->lengths, a->formats, 1));
}

static void
kind_name(enum sq_pg_kind kind, unsigned segment, char name[32])
{
	(void)snprintf(name, 32, "k%d_%u", (int)kind, segment);
}

enum sq_shared_result
sq_pg_prepare(struct sq_shared *c, enum sq_pg_kind kind, unsigned segment, sq_pg_write_fn *write)
{
	char name[32], sql[SQ_PG_SQL], text[SQ_PG_SQL];
	enum sq_shared_result result;

	if (c->prepared[kind] == segment)
		return SQ_SHARED_DONE;
	if (c->prepared[kind] != 0) {
		kind_name(kind, c->prepared[kind], name);
		(void)snprintf(text, sizeof text, "DEALLOCATE %s", name);
		(void)sq_pg_queue(c, NULL, text);
		c->prepared[kind] = 0;
		if (sq_pg_run(c) != SQ_SHARED_DONE)
			return SQ_SHARED_UNKNOWN;
	}
	kind_name(kind, segment, name);
	write(segment, sql);
	call_text(c, sql, text);
	(void)call_queued(c, PQsendPrepare(c->pg, name, text, 0, NULL));
	result = sq_pg_run(c);
	if (result == SQ_SHARED_DONE)
		c->prepared[kind] = segment;
	return result;
}

size_t
sq_pg_queue_kind(struct sq_shared *c, enum sq_pg_kind kind, const struct sq_pg_args *a)
{
	char name[32];

	if (a == NULL)
		a = &no_args;
	assert(c->prepared[kind] != 0);
	kind_name(kind, c->prepared[kind], name);
	return call_queued(
	    c, PQsendQueryPrepared(c->pg, name, a->n, a->values, a->lengths, a->formats, 1));
}

/* The next result; false: none came.  NULL ends those of a statement. */
static bool
call_result(struct sq_shared *c, PGresult **out)
{
	int left;

	for (;;) {
		left = PQflush(c->pg);
		if (left < 0)
			break;
		if (left == 0 && !PQisBusy(c->pg)) {
			*out = PQgetResult(c->pg);
			return true;
		}
		if (!sq_pg_wait(c, true, left > 0))
			return false;
		if (!PQconsumeInput(c->pg))
			break;
		call_goes_on(c);
	}
	sq_pg_say_lost(c);
	return false;
}

/* Takes note of an error; false where it does not say that the statement, and nothing more, failed. */
static bool
call_error(struct sq_shared *c, const PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (state == NULL || severity == NULL || text == NULL) {
		sq_pg_say_lost(c);
		return false;
	}
	(void)snprintf(c->state, sizeof c->state, "%s", state);
	sq_pg_say(c, "%s (%s)", text, state);
	return strcmp(severity, "ERROR") == 0;
}

/* Takes the results of all statements, up to the pipeline's end. */
static enum sq_shared_result
call_take(struct sq_shared *c)
{
	enum sq_shared_result all = SQ_SHARED_DONE;
	size_t taken = 0;
	PGresult *r;

	for (;;) {
		if (!call_result(c, &r))
			return SQ_SHARED_UNKNOWN;
		if (r == NULL) {
			if (PQstatus(c->pg) != CONNECTION_OK)
				return SQ_SHARED_UNKNOWN;
			continue; /* the end of one statement's */
		}
		switch (PQresultStatus(r)) {
		case PGRES_PIPELINE_SYNC:
			PQclear(r);
			return taken == c->queued ? all : SQ_SHARED_UNKNOWN;
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
			break;
		case PGRES_FATAL_ERROR:
			if (!call_error(c, r)) {
				PQclear(r);
				return SQ_SHARED_UNKNOWN;
			}
			all = SQ_SHARED_NOT_DONE;
			break;
		case PGRES_PIPELINE_ABORTED:
			all = SQ_SHARED_NOT_DONE;
			break;
		default:
			PQclear(r);
			sq_pg_say(c, "an answer that nothing asked for");
			return SQ_SHARED_UNKNOWN;
		}
		if (taken == c->queued) { /* of the commit: what was taken is not what it seemed */
			PQclear(r);
			return SQ_SHARED_UNKNOWN;
		}
		c->results[taken++] = r;
	}
}

enum sq_shared_result
sq_pg_run(struct sq_shared *c)
{
	enum sq_shared_result result = SQ_SHARED_UNKNOWN;

	sq_pg_clear(c);
	if (c->broken || PQpipelineSync(c->pg) != 1)
		sq_pg_say_lost(c);
	else
		result = call_take(c);
	c->queued = 0;
	if (result == SQ_SHARED_DONE && PQtransactionStatus(c->pg) != PQTRANS_IDLE)
		result = SQ_SHARED_UNKNOWN;
	if (c->doubt && result == SQ_SHARED_DONE && !sq_pg_broken("tell_early"))
		result = SQ_SHARED_UNKNOWN;
	if (c->silent)
		sq_pg_hosts_note(c->host, false);
	return result;
}

enum sq_shared_result
sq_pg_run_write(struct sq_shared *c)
{
	static const char *const pass[] = {"25006", "42501", "57014"};
	enum sq_shared_result result = sq_pg_run(c);

	if (result == SQ_SHARED_DONE)
		sq_pg_hosts_note(c->host, true);
	if (result != SQ_SHARED_NOT_DONE)
		return result;
	if (strcmp(c->state, "23505") == 0)
		return SQ_SHARED_REFUSED;
	for (size_t i = 0; i < sizeof pass / sizeof pass[0]; i++)
		if (strcmp(c->state, pass[i]) == 0)
			return SQ_SHARED_NOT_DONE;
	return strncmp(c->state, "53", 2) == 0 ? SQ_SHARED_NOT_DONE : SQ_SHARED_UNKNOWN;
}

enum sq_shared_result
sq_pg_script(struct sq_shared *c, const char *sql)
{
	enum sq_shared_result result = SQ_SHARED_DONE;
	PGresult *r;

	if (PQsendQuery(c->pg, sql) != 1) {
		sq_pg_say_lost(c);
		return SQ_SHARED_UNKNOWN;
	}
	for (;;) {
		if (!call_result(c, &r))
			return SQ_SHARED_UNKNOWN;
		if (r == NULL)
			break;
		if (PQresultStatus(r) == PGRES_TUPLES_OK) {
			PQclear(c->results[0]);
			c->results[0] = r;
			continue;
		}
		if (PQresultStatus(r) != PGRES_COMMAND_OK) {
			(void)call_error(c, r);
			result = SQ_SHARED_UNKNOWN;
		}
		PQclear(r);
	}
	return c->doubt || PQstatus(c->pg) != CONNECTION_OK ? SQ_SHARED_UNKNOWN : result;
}

int
sq_pg_rows(const struct sq_shared *c, size_t result)
{
	return PQntuples(c->results[result]);
}

uint64_t
sq_pg_affected(const struct sq_shared *c, size_t result)
{
	return strtoull(PQcmdTuples(c->results[result]), NULL, 10);
}

bool
sq_pg_null(const struct sq_shared *c, size_t result, int row, int column)
{
	return PQgetisnull(c->results[result], row, column) != 0;
}

struct sq_bytes
sq_pg_get(const struct sq_shared *c, size_t result, int row, int column)
{
	return (struct sq_bytes){
	    (const unsigned char *)PQgetvalue(c->results[result], row, column),
	    (size_t)PQgetlength(c->results[result], row, column),
	};
}

uint64_t
sq_pg_int(const struct sq_shared *c, size_t result, int row, int column)
{
	struct sq_bytes b = sq_pg_get(c, result, row, column);

	if (sq_pg_null(c, result, row, column))
		return 0;
	assert(b.len == 8 || b.len == 4 || b.len == 1);
	return b.len == 8 ? sq_get64(b.p) : b.len == 4 ? sq_get32(b.p) : b.p[0];
}

void
sq_pg_copy(const struct sq_shared *c, size_t result, int row, int column, char *out, size_t room)
{
	struct sq_bytes b = sq_pg_get(c, result, row, column);
	size_t n = b.len < room ? b.len : room - 1;

	memcpy(out, b.p, n);
	out[n] = '\0';
}

bool
sq_pg_broken(const char *what)
{
#ifdef SQ_FAULTS
	const char *broken = getenv("SQMQOS_BROKEN");

	return broken != NULL && strcmp(broken, what) == 0;
#else
	(void)what;
	return false;
#endif
}
