/* Inside the driver of a log in PostgreSQL.
 *
 *   module.c  its ops
 *   dial.c    a connection, to a server that will do; hosts.c: which are tried in which order;
 *             lookup.c: their addresses
 *   ready.c   what a new connection sets and looks at; the schema
 *   call.c    statements, sent as one pipeline up to a deadline; what their answers mean
 *   owner.c   append, claim, beat;  read.c: head, records;  keep.c: segments, brokers;  snapshot.c;  moves.c: there and back
 *
 * A call queues statements and runs them: they are one transaction, which ends with the pipeline, and
 * are judged once the server says that it is ready for the next: the answer of a statement of its own
 * comes before its commit. */
#ifndef SQ_STORE_POSTGRES_PG_PRIV_H
#define SQ_STORE_POSTGRES_PG_PRIV_H

#include <libpq-fe.h>

#include "core/err.h"
#include "store/postgres/cfg.h"
#include "store/shared/driver.h"

enum {
	SQ_PG_HOST = 256,    /* bytes of a host as it is configured */
	SQ_PG_HOSTS = 16,    /* that are tried */
	SQ_PG_ADDRESS = 64,  /* bytes of an address as text */
	SQ_PG_ADDRESSES = 8, /* of a host, that are tried */
	SQ_PG_RESULTS = 8,   /* statements of one call */
	SQ_PG_SCHEMA = 64,   /* bytes of a schema's name */
	SQ_PG_SQL = 3072,    /* bytes of a statement */
	SQ_PG_FORMAT = 1,    /* of the schema: head.format */
	SQ_PG_PAGE = 1024,   /* records of a read */
};

/* Statements that are prepared, each for one segment at a time. */
enum sq_pg_kind { SQ_PG_APPEND, SQ_PG_HEAD, SQ_PG_READ, SQ_PG_KINDS };

struct sq_pg_segment {
	unsigned n;
	uint64_t first;
};

struct sq_shared {
	PGconn *pg;
	const struct sq_log_postgres_cfg *cfg;
	char host[SQ_PG_HOST], schema[SQ_PG_SCHEMA];
	unsigned deadline_ms;
	uint64_t until_ms; /* of the call under way */
	uint64_t
	    last_ms;  /* while its answer comes, 'until_ms' goes on, up to here; 0: it does not */
	bool silent;  /* it was not answered in time */
	bool doubt;   /* it was answered with a notice of class 01 */
	bool claimed; /* a claim of this connection was answered: all that it sees is durable */
	unsigned copies;
	struct sq_pg_segment *segments; /* as they were read last; at least one */
	size_t segments_n;
	unsigned prepared[SQ_PG_KINDS]; /* for which segment; 0: none */
	size_t queued;                  /* statements of the next sq_pg_run() */
	bool broken;                    /* what was queued could not be */
	PGresult *results[SQ_PG_RESULTS];
	char state[6]; /* SQLSTATE of the last error; "" */
	char error[512];
};

/* Arguments of a statement, binary. */
struct sq_pg_args {
	int n;
	Oid types[12];
	const char *values[12];
	int lengths[12], formats[12];
	unsigned char ints[12][8];
};
void sq_pg_u64(struct sq_pg_args *, uint64_t);
void sq_pg_u32(struct sq_pg_args *, uint32_t);
void sq_pg_bool(struct sq_pg_args *, bool);
void sq_pg_text(struct sq_pg_args *, const char *);
void sq_pg_bytea(struct sq_pg_args *, struct sq_bytes);

/* ---- call.c */

/* A call begins: its deadline runs, and what the last one left is gone. */
void sq_pg_begin(struct sq_shared *);
/* The call sends so many bytes, and may take longer for that. */
void sq_pg_sends(struct sq_shared *, size_t n);
/* The call's answer may be large: it may go on while it comes. */
void sq_pg_receives(struct sq_shared *);
/* Adds a statement to the call; "@." stands for the schema's name and a dot.  'args' may be NULL.  Returns
 * the number of its result. */
size_t sq_pg_queue(struct sq_shared *, const struct sq_pg_args *args, const char *sql);
/* Writes a kind's statement for a segment; "@." as above. */
typedef void sq_pg_write_fn(unsigned segment, char sql[SQ_PG_SQL]);
/* Prepares a kind for a segment, where it is not; nothing may be queued.  NOT_DONE: the statement is
 * refused, as 'state' tells. */
enum sq_shared_result
sq_pg_prepare(struct sq_shared *, enum sq_pg_kind, unsigned segment, sq_pg_write_fn *);
/* sq_pg_queue() of a kind as it was prepared last. */
size_t sq_pg_queue_kind(struct sq_shared *, enum sq_pg_kind, const struct sq_pg_args *args);
/* Sends what was queued and waits for all answers, and that it is committed.  DONE: each statement
 * succeeded.  NOT_DONE: one failed, which 'state' tells, and with it all; else UNKNOWN.  The results
 * stay until it is called again, or the next call begins. */
enum sq_shared_result sq_pg_run(struct sq_shared *);
/* sq_pg_run() of a single write: NOT_DONE only for what may pass by itself, REFUSED for a key that is
 * there. */
enum sq_shared_result sq_pg_run_write(struct sq_shared *);
/* Statements by ';', before the pipeline mode; leaves the last result with rows in results[0]. */
enum sq_shared_result sq_pg_script(struct sq_shared *, const char *sql);
/* Frees the results. */
void sq_pg_clear(struct sq_shared *);
void sq_pg_say(struct sq_shared *, const char *fmt, ...) SQ_PRINTF(2, 3);
/* The first line of what libpq says. */
void sq_pg_say_lost(struct sq_shared *);
/* Waits until the socket can be read, or written with 'writes'; false: not until the deadline. */
bool sq_pg_wait(struct sq_shared *, bool reads, bool writes);

int sq_pg_rows(const struct sq_shared *, size_t result);          /* that a query gave */
uint64_t sq_pg_affected(const struct sq_shared *, size_t result); /* that a change changed */
uint64_t sq_pg_int(const struct sq_shared *, size_t result, int row, int column); /* NULL: 0 */
bool sq_pg_null(const struct sq_shared *, size_t result, int row, int column);
struct sq_bytes sq_pg_get(const struct sq_shared *, size_t result, int row, int column);
void
sq_pg_copy(const struct sq_shared *, size_t result, int row, int column, char *out, size_t room);

/* Whether a test has broken that, by the environment's SQMQOS_BROKEN; never in a release. */
bool sq_pg_broken(const char *what);

/* ---- hosts.c */

struct sq_pg_hosts {
	char host[SQ_PG_HOSTS][SQ_PG_HOST];
	size_t n;
};
/* Those of a configuration, in the order in which they are tried: whose calls were not answered last.
 * SQ_EINVAL with a line in 'err'. */
int sq_pg_hosts_read(struct sq_pg_hosts *, const char *hosts, struct sq_buf *err) SQ_MUST_CHECK;
/* A call of the host was answered, or not.  Thread: any. */
void sq_pg_hosts_note(const char *host, bool answers);
/* Splits one into its parts, each of SQ_PG_HOST; returns false where it has none. */
bool sq_pg_host_split(const char *host, char *name, char *port);
/* Whether what goes there stays on this machine. */
bool sq_pg_host_is_near(const char *name);

/* ---- lookup.c */

struct sq_pg_addresses {
	char v[SQ_PG_ADDRESSES][SQ_PG_ADDRESS];
	size_t n;
};
/* Finds the addresses of a name, or of an address, up to that time.  SQ_EAGAIN: not in time; SQ_ENOTFOUND;
 * 'why' is static.  Thread: any. */
int sq_pg_lookup(
    const char *name, uint64_t until_ms, struct sq_pg_addresses *, const char **why) SQ_MUST_CHECK;

/* ---- ready.c */

/* Sets up a new connection.  SQ_EINVAL: the server will not do; SQ_EIO; a line is in error. */
int sq_pg_ready(struct sq_shared *) SQ_MUST_CHECK;

/* ---- read.c */

/* Reads the list of segments. */
enum sq_shared_result sq_pg_segments(struct sq_shared *);
const struct sq_pg_segment *sq_pg_last_segment(const struct sq_shared *);
/* Prepares the query of the head for the last segment, and queues it. */
enum sq_shared_result sq_pg_prepare_head(struct sq_shared *);
size_t sq_pg_queue_head(struct sq_shared *);
/* The head that a result has; returns the head's segment, 0 where there is no head. */
unsigned sq_pg_head(const struct sq_shared *, size_t result, struct sq_shared_head *);

/* ---- ops */

int sq_pg_dial(struct sq_shared **, const void *cfg, unsigned deadline_ms, struct sq_buf *err);
void sq_pg_hang_up(struct sq_shared **);
enum sq_shared_result sq_pg_append(struct sq_shared *, uint64_t nonce, uint64_t epoch, uint64_t lsn,
    uint64_t sure, struct sq_bytes data);
enum sq_shared_result
sq_pg_claim(struct sq_shared *, const struct sq_shared_claim *, struct sq_shared_head *);
enum sq_shared_result sq_pg_beat(struct sq_shared *, uint64_t nonce, uint64_t sure, bool yields);
enum sq_shared_result sq_pg_read(struct sq_shared *, uint64_t from, size_t max_bytes,
    struct sq_shared_head *, sq_shared_record_fn *, void *arg);
enum sq_shared_result
sq_pg_announce(struct sq_shared *, const struct sq_shared_peer *me, sq_shared_peer_fn *, void *arg);
enum sq_shared_result sq_pg_drop(struct sq_shared *, uint64_t lsn);
enum sq_shared_result sq_pg_snap_begin(struct sq_shared *, struct sq_shared_snapshot *);
enum sq_shared_result
sq_pg_snap_put(struct sq_shared *, uint64_t n, uint32_t row, struct sq_bytes data);
enum sq_shared_result sq_pg_snap_done(struct sq_shared *, const struct sq_shared_snapshot *);
enum sq_shared_result sq_pg_snap_newest(
    struct sq_shared *, struct sq_shared_snapshot *, struct sq_shared_snapshot *older);
enum sq_shared_result
sq_pg_snap_get(struct sq_shared *, uint64_t n, uint32_t row, struct sq_buf *out);
enum sq_shared_result
sq_pg_import(struct sq_shared *, uint64_t store, uint64_t epoch, const struct sq_shared_snapshot *);
enum sq_shared_result sq_pg_move(struct sq_shared *, uint64_t nonce, const char *to);
enum sq_shared_result sq_pg_skip(struct sq_shared *, const struct sq_shared_head *, uint64_t epoch);

#endif
