/* The layout of the shared log, for its files: log_shared.c (the calls of its owner), log_shared_run.c
 * (its thread, which alone speaks to the driver), log_shared_read.c (records that are read),
 * log_shared_tell.c (what is told: commits, roles, stalls), log_shared_look.c (what it knows).
 *
 *   append() --> queue --> run.batch --driver--> commit --> applied()
 *                  ^----------- it was not there ---'
 *
 * The watch is a second thread that does nothing but say that an append is late, as the first one may
 * be inside a call of the driver. */
#ifndef SQ_STORE_SHARED_LOG_SHARED_PRIV_H
#define SQ_STORE_SHARED_LOG_SHARED_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/list.h"
#include "store/shared/log_batch.h"
#include "store/shared/log_shared.h"
#include "store/shared/log_peers.h"
#include "store/shared/rule.h"
#include "store/shared/skew.h"
#include "store/shared/snapshots.h"
#include "store/shared/upkeep.h"
#include "store/shared/used.h"

enum {
	SQ_LOG_SHARED_LATE_MS = 1000,     /* an append without an answer is a stall */
	SQ_LOG_SHARED_ANNOUNCE_MS = 1000, /* between announcements */
	SQ_LOG_SHARED_LINE_MS = 60000,    /* between lines of the same trouble */
	SQ_LOG_SHARED_PATIENT_MS = 10,    /* at most, of an entry that waits for others */
	SQ_LOG_SHARED_PAGE = 1 << 20,     /* bytes of records of one read */
};

/* When the log stopped to answer, and when a line said so. */
struct sq_log_shared_down {
	uint64_t since_ms, line_ms; /* 0: it answers */
};

/* Segments, as far as this broker has seen them grow. */
struct sq_log_shared_segment {
	uint64_t bytes, since_ms;
};

/* The owner's clock, and whether a line has said that it differs. */
struct sq_log_shared_clock {
	struct sq_skew skew;
	bool said;
};

/* What is done for the log beside its records, on threads of its own. */
struct sq_log_shared_care {
	struct sq_upkeep *upkeep;       /* of an owner */
	struct sq_snapshots *snapshots; /* NULL: the state gives no rows */
	uint64_t upkeep_ms,
	    upkeep_at;           /* when it was asked for last, and the bytes applied by then */
	uint64_t records, bytes; /* applied since the open */
};

/* Announcements: of others, and when this broker's own is due. */
struct sq_log_shared_crowd {
	struct sq_log_peers *peers;
	uint64_t beats, due_ms;
	bool next; /* this broker is the standby, as others are told */
};

/* The thread's own; no lock. */
struct sq_log_shared_run {
	struct sq_rule *rule;
	struct sq_shared *conn;
	enum sq_rule_state state; /* as settled last */
	struct sq_log_batch batch;
	struct sq_buf held; /* a record that waits for the one behind it */
	struct sq_log_shared_crowd crowd;
	struct sq_log_shared_care care;
	struct sq_log_shared_clock clock;
	struct sq_shared_head head; /* the last one */
	uint64_t
	    head_wall_ms; /* this broker's clock before the call that gave it; 0: there is none */
	uint64_t boot;    /* the epoch by which it owns */
	bool headed;      /* this connection has given one */
	bool owned;       /* role() has said so */
	bool yielded;     /* nobody held the log that this broker claims */
	bool closing;     /* as the last wish said */
	bool stale;       /* the look is to be taken anew */
	bool twin;        /* another broker that lives has this one's id */
	uint64_t record_bytes;     /* of a record of others, on average */
	uint64_t refused;          /* lsn of a record that can't be applied; 0: none */
	char said[SQ_SHARED_NAME]; /* the owner that a line has named */
	uint64_t proved_ms;        /* when the last call began that proves ownership */
	struct sq_log_shared_down down;
	uint64_t not_done_ms; /* when a line told of a call that was NOT_DONE; 0: none has */
	struct sq_log_shared_segment segment;
	char why[192]; /* of the last call that was not answered, or of 'refused' */
};

/* Under the lock. */
struct sq_log_shared_queue {
	struct sq_list pending; /* struct sq_log_entry */
	size_t pressing;        /* of these: not patient */
	uint64_t patient_ms;    /* until when patient ones wait for others; 0: not said */
	bool claim, closing, ended;
	bool idle; /* the thread waits for entries */
	bool full; /* the thread waits for a release */
	uint64_t close_by_ms;
	uint64_t unanswered_ms; /* since when an append waits for the log; 0: none does */
	bool watch_idle, watch_stop;
};

/* Under the lock. */
struct sq_log_shared_known {
	struct sq_log_mark mark; /* of the last record that was applied */
	struct sq_used used;
	uint64_t released;
	struct sq_log_shared_look look; /* its figures are filled when it is looked at */
	uint64_t behind_lsn,
	    behind_ms; /* a record that was known then and is not applied; 0: none */
	struct sq_log_shared_counts counts;
};

struct sq_log_shared_tell {
	pthread_mutex_t lock; /* held around stalled(); taken before the log's lock */
	bool stalled;
	char why[256];
};

struct sq_log_shared {
	struct sq_log log;
	struct sq_log_cfg cfg;
	struct sq_log_shared_cfg shared;
	pthread_t thread, watch;
	_Atomic uint64_t since_ms; /* when the oldest commit began that is under way; 0: none is */
	_Atomic uint64_t lease_ms; /* until when the lease holds; 0: there is none */
	struct sq_log_shared_run run;
	struct sq_log_shared_tell tell;

	pthread_mutex_t lock;      /* of the members below */
	pthread_cond_t work, late; /* for the thread; for the watch */
	struct sq_log_shared_queue queue;
	struct sq_log_shared_known known;
};

/* log_shared_run.c */
void *sq_log_shared_thread(void *log);
/* Waits until 'until_ms', or until there is more to do.  Thread: the log's. */
void sq_log_shared_rest(struct sq_log_shared *, uint64_t until_ms);

/* log_shared_read.c; 'full': no record will be applied, so one is enough. */
enum sq_shared_result sq_log_shared_read(struct sq_log_shared *, uint64_t from, bool full);

/* log_shared_tell.c */
/* The batch's record is in the log; 'found' there, after its end was not known. */
void sq_log_shared_commit(struct sq_log_shared *, bool found);
/* A record of others; what applied() says. */
int sq_log_shared_apply(
    struct sq_log_shared *, uint64_t lsn, uint64_t chain, struct sq_bytes data, size_t size);
/* Commits wait, and why. */
void sq_log_shared_stall(struct sq_log_shared *, const char *why);
/* The same, for another reason than the one that was told; nothing, if they do not wait. */
void sq_log_shared_stall_on(struct sq_log_shared *, const char *why);
/* FENCED: what was not applied goes back. */
void sq_log_shared_end(struct sq_log_shared *);
void *sq_log_shared_watch(void *log);

/* log_shared_look.c */
/* The call was answered, or not, and why; NULL: it was. */
void sq_log_shared_answered(struct sq_log_shared *, const char *why);
/* Takes the look anew, if something may have changed. */
void sq_log_shared_publish(struct sq_log_shared *, uint64_t now_ms);
/* Whether no record may be added to what is not released. */
bool sq_log_shared_is_full(struct sq_log_shared *);
/* About how many bytes of records are in the log and not here. */
uint64_t sq_log_shared_behind(const struct sq_log_shared *);

#endif
