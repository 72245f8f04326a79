/* Many sessions on many links, in one process: a load generator that speaks the link itself.
 *
 * Each link is a sidecar without clients' sockets: a table of holds (sidecar/hold) over a pool of one
 * link (net/pool.h), so sessions attach, send, settle, wait and come back as those of a sidecar do.
 * A session is the user of its hold: it subscribes to a topic of its own, and publishes to that of
 * another session; one message at a time waits for its acknowledgement.
 *
 *   links.c          the program: links, sessions, the end
 *   links_opts.c     its command line
 *   links_session.c  a session
 *   links_phase.c    what is asked for by standard input, and how that went
 *
 * All on the thread of one loop. */
#ifndef SQ_BENCH_LINKS_H
#define SQ_BENCH_LINKS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/hist.h"
#include "bench/track.h"
#include "sidecar/config/config.h"
#include "sidecar/hold/hold.h"
#include "sidecar/hold/table.h"

struct sq_links;

struct sq_links_opts {
	unsigned links, sessions;
	bool durable;
	uint32_t expiry_s; /* of a durable session */
	size_t size;       /* bytes of a payload */
	int argc;          /* the sidecars' configuration, with a name of the program before it */
	char **argv;
};

enum { SQ_LINKS_HEADER = 16 /* bytes of a payload that we write: its number, when it was due */ };

struct sq_links_session {
	struct sq_links *of;
	struct sq_hold *hold;   /* NULL: not opened yet, or its client was sent away */
	uint32_t sent;          /* messages so far; the number of the next one */
	bool attached, refused; /* 'refused': the message in flight waits for room in the lane */
	uint64_t due_us;        /* of the message in flight; 0: none */
	struct sq_track seen;   /* messages to it */
};

enum sq_links_phase {
	SQ_LINKS_LINKED, /* until all links are up */
	SQ_LINKS_READY,  /* nothing was asked for */
	SQ_LINKS_ATTACH, /* until each session is attached and subscribed */
	SQ_LINKS_LOAD,   /* messages at a rate, for a time; then as SQ_LINKS_ROUND */
	SQ_LINKS_OUTAGE, /* as SQ_LINKS_ROUND, and each session was attached anew and has published since */
	SQ_LINKS_ROUND, /* until each message is acknowledged, and arrived or not to be expected */
};

/* Sums since the program began. */
struct sq_links_sums {
	uint64_t sent, acked, unmatched;
	uint64_t arrived, duplicates, late;
	uint64_t unlinked; /* attachments that ended */
	uint64_t waits;    /* attaches that were refused or failed, and tried again */
	uint64_t told;     /* what a client would have been told: ends, refusals */
};

/* The phase that runs. */
struct sq_links_run {
	enum sq_links_phase phase;
	struct sq_links_sums before;
	double rate;                                /* of SQ_LINKS_LOAD, messages a second */
	uint64_t began_us, end_us;                  /* 'end_us': when it sends no more */
	uint64_t due;                               /* messages that were due so far */
	uint64_t attached_us, acked_us, arrived_us; /* when that was last; 0: not in this phase */
	double cpu_s;                               /* of this process, when it began */
	struct sq_hist *ack, *latency;              /* µs */
};

struct sq_links {
	struct sq_links_opts o;
	struct sq_loop *loop;
	struct sq_sidecar_cfg cfg;   /* of all */
	struct sq_sidecar_cfg *cfgs; /* that, with a pod of its own for each link */
	struct sq_holds **tables;    /* a link each */
	struct sq_links_session *sessions;
	uint32_t attached, subscribed, gone; /* sessions; 'gone': their clients were sent away */
	uint32_t busy;                       /* sessions with a message in flight */
	uint32_t cursor;                     /* the session that publishes next */
	struct sq_links_sums sums;
	struct sq_links_run run;
	ev_timer tick;
	ev_io input;
	char line[128]; /* what has come of the next command */
	size_t line_len;
};

/* Reads the command line; ends the program where it is wrong. */
void sq_links_options(struct sq_links_opts *, int argc, char **argv);

/* Opens the hold of a session, which subscribes once it is attached. */
void sq_links_session_open(struct sq_links_session *);
/* Publishes to the session's partner; it is not busy.  'due_us' on sq_clock_us(). */
void sq_links_session_publish(struct sq_links_session *, uint64_t due_us);

/* Begins with SQ_LINKS_LINKED, and then does what standard input says; its end breaks the loop. */
void sq_links_phases_start(struct sq_links *);
void sq_links_phases_stop(struct sq_links *);

#endif
