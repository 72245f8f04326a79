/* The load generator sqmqos-bench: one thread, one epoll, any number of MQTT
 * publishers and subscribers in one process, so that send and receive times
 * come from the same clock.
 *
 *     load.c        main, phases of a run, the schedule of an open loop
 *     load_opts.c   command line
 *     load_conn.c   sockets, buffers, connecting: one read, one write a wakeup
 *     load_pub.c    publishers: windows, packet ids, acknowledgements
 *     load_sub.c    subscribers: checking what arrives
 *     load_ticks.c  --ticks: what happens, as it happens
 *     load_idle.c   --idle: clients that only exist
 *     load_filters.c --filters: a client that only subscribes
 *     load_report.c what comes out
 *
 * Private to those files. */
#ifndef SQ_BENCH_LOAD_H
#define SQ_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bench/hist.h"
#include "bench/procstat.h"
#include "bench/track.h"
#include "bench/wire.h"

enum {
	SQ_LOAD_PIDS_MAX = 16,
	SQ_LOAD_ADDRS_MAX = 256,
	SQ_LOAD_PACKET_IDS = UINT16_MAX,
	SQ_LOAD_HEADER = 24,           /* of the payload: magic, publisher, number, time */
	SQ_LOAD_OUT_HIGH = 128 * 1024, /* a publisher fills up to this, then waits */
	SQ_LOAD_READ = 256 * 1024,     /* one read, and a payload more */
};

enum sq_load_topology { SQ_LOAD_PAIRS, SQ_LOAD_FANOUT, SQ_LOAD_FANIN };
enum sq_load_mode { SQ_LOAD_RATE, SQ_LOAD_WINDOW, SQ_LOAD_FLOOD };

struct sq_load_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
		struct sockaddr_storage any;
	};
	socklen_t len;
};

/* Clients connect to these in turn. */
struct sq_load_addrs {
	struct sq_load_addr at[SQ_LOAD_ADDRS_MAX];
	unsigned n;
};

struct sq_load_pid {
	const char *name;
	pid_t pid;
	bool seen; /* 'before' holds figures */
	struct sq_procstat before, after;
};

struct sq_load_opts {
	struct sq_load_addrs pub, sub;
	unsigned publishers, subscribers;
	enum sq_load_topology topology;
	enum sq_load_mode mode;
	bool v5, durable, raw, json, quiet, idle_subscribe;
	bool keep, resume, pace;
	uint16_t receive_max; /* of subscribers; 0: not said */
	uint8_t qos;
	const char *shared; /* group, or NULL */
	size_t size;
	uint64_t rate, window, backlog, count, connect_rate;
	uint64_t tick_ms;       /* between lines of what happens; 0: none */
	uint64_t first, expect; /* numbers: of publishers, and due at subscribers */
	uint64_t take;          /* nothing is published: so many of each publisher come */
	uint32_t expiry_s;
	double duration_s, warmup_s, drain_s, settle_s, hold_s;
	unsigned idle;
	uint32_t filters; /* that one client subscribes to; 0: another kind of run */
	char prefix[64];  /* of client ids and topics */
	struct sq_load_pid pid[SQ_LOAD_PIDS_MAX];
	unsigned npids;
};

enum sq_load_kind {
	SQ_LOAD_SUB,
	SQ_LOAD_PUB,
	SQ_LOAD_IDLE,
	SQ_LOAD_FILTERS,
	SQ_LOAD_LISTEN,
	SQ_LOAD_SINK,
};
enum sq_load_state {
	SQ_LOAD_CLOSED,
	SQ_LOAD_CONNECTING,
	SQ_LOAD_GREETING,    /* CONNECT is sent */
	SQ_LOAD_SUBSCRIBING, /* SUBSCRIBE is sent */
	SQ_LOAD_READY,
};

struct sq_load_conn {
	int fd;
	enum sq_load_kind kind;
	enum sq_load_state state;
	unsigned idx; /* among its kind */
	bool dirty;   /* is on the list of what to write this turn */
	bool blocked; /* waits for EPOLLOUT */
	uint16_t receive_max;
	unsigned char *part; /* the start of a packet that isn't whole yet */
	size_t part_len;
	unsigned char *out;
	size_t out_at, out_len, out_cap; /* out_at..out_len is unwritten */
};

struct sq_load_slot { /* a packet id in flight */
	uint64_t stamp;
	uint8_t waits_for; /* packet type, 0 when free */
};

struct sq_load_pub {
	struct sq_load_conn c;
	struct sq_wire_template tmpl;
	uint64_t sent, due; /* due: scheduled and not sent */
	uint64_t quota;     /* 'sent' must not exceed it */
	uint64_t delivered; /* over all receivers, lost ones that left a gap included */
	uint32_t unacked, limit;
	uint32_t nslots, next_slot;
	struct sq_load_slot *slot;
};

struct sq_load_sub {
	struct sq_load_conn c;
	struct sq_track *track; /* per publisher; NULL when a group shares them */
	uint64_t *order;        /* in a group: next number due per publisher */
	unsigned char *held;    /* QoS 2 packet ids not released, a bit each */
	/* Paced: acknowledgements that wait for a publish, and publishes for them. */
	uint16_t *late;
	uint32_t late_at, n_late, allowed;
};

enum sq_load_phase {
	SQ_LOAD_SETUP,
	SQ_LOAD_SETTLE,
	SQ_LOAD_WARMUP,
	SQ_LOAD_MEASURE,
	SQ_LOAD_DRAIN,
	SQ_LOAD_LINGER, /* all is here; would something come twice? */
	SQ_LOAD_DONE,
};

/* SUBSCRIBEs of a client that does nothing else. */
struct sq_load_filters {
	uint32_t sent, answered;
	uint64_t *stamp; /* when it was sent, by packet id */
};

/* Counted inside the measured time only. */
struct sq_load_count {
	uint64_t sent, delivered, acked;
};

/* Since the last line of --ticks. */
struct sq_load_tick {
	uint64_t due, acked;
	uint64_t longest; /* that a message was due and not acknowledged, of these */
};

struct sq_load {
	struct sq_load_opts o;
	int epfd;
	uint32_t magic;
	uint64_t now; /* ns, CLOCK_MONOTONIC */
	enum sq_load_phase phase;
	uint64_t phase_end;  /* 0: open */
	uint64_t start;      /* of the schedule */
	uint64_t from, till; /* of the measured time */
	uint64_t last_delivery, last_progress;
	uint64_t last_ack, longest_gap; /* between acknowledgements, measured */
	uint64_t scheduled;             /* messages, by the open loop's clock */
	bool failed;
	bool drained;

	struct sq_load_pub *pub;
	struct sq_load_sub *sub;
	struct sq_load_conn *idle; /* --filters: its one client */
	struct sq_load_filters filters;
	struct sq_load_conn listener;
	struct sq_load_conn **sink; /* accepted in raw mode */
	unsigned nsinks;
	struct sq_track *group; /* per publisher, with --shared */
	unsigned fan;           /* deliveries per message */
	unsigned opened, ready; /* of all connections */
	uint64_t connect_start;

	struct sq_load_conn **dirty;
	unsigned ndirty;
	unsigned char *rbuf;
	size_t rbuf_cap;

	struct sq_hist *latency, *ack, *lateness;
	struct sq_load_count count;
	struct sq_load_tick tick;
	uint64_t received;    /* messages for us, each first copy */
	uint64_t misordered;  /* in a group */
	uint64_t foreign;     /* not a message of this run */
	uint64_t redelivered; /* a QoS 2 packet id again: no duplicate */
	uint64_t refused;     /* negative acknowledgements */
	uint64_t stalls;      /* times a QoS 0 window had to be written off */
	double own_cpu_s;     /* before, then during the measured time */
};

/* load_opts.c: fills '*o'; on a mistake says so and exits with status 2. */
void sq_load_opts_parse(struct sq_load_opts *o, int argc, char **argv);

/* load_conn.c.  All return false, having said why and set l->failed, when the
 * run can't go on. */
bool sq_load_conn_open(struct sq_load *, struct sq_load_conn *, const struct sq_load_addr *);
bool sq_load_conn_listen(struct sq_load *, const struct sq_load_addr *);
bool sq_load_conn_event(struct sq_load *, struct sq_load_conn *, uint32_t events);
/* Writes what there is, once; publishers fill up first. */
bool sq_load_conn_flush(struct sq_load *, struct sq_load_conn *);
/* Returns room for 'n' bytes at the end of the output, and counts them in. */
unsigned char *sq_load_conn_room(struct sq_load_conn *, size_t n);
void sq_load_conn_dirty(struct sq_load *, struct sq_load_conn *);
void sq_load_conn_close(struct sq_load *, struct sq_load_conn *);
/* The connection has got through its handshake. */
void sq_load_conn_ready(struct sq_load *, struct sq_load_conn *);
bool sq_load_fail(struct sq_load *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* load_pub.c */
void sq_load_pub_init(struct sq_load *, unsigned idx);
/* Connected and greeted: now the peer's receive maximum is known. */
void sq_load_pub_start(struct sq_load *, struct sq_load_pub *);
void sq_load_pub_fill(struct sq_load *, struct sq_load_pub *);
bool sq_load_pub_packet(struct sq_load *, struct sq_load_pub *, const struct sq_wire_frame *);
/* Nothing arrives any more: gives up waiting for what a QoS 0 window lost. */
void sq_load_pub_write_off(struct sq_load *, struct sq_load_pub *);
/* Scheduled time of a publisher's message 'n' in an open loop. */
uint64_t sq_load_pub_time(const struct sq_load *, unsigned idx, uint64_t n);

/* load_sub.c */
void sq_load_sub_init(struct sq_load *, unsigned idx);
/* Paced: a publish to subscriber 'idx' is acknowledged. */
void sq_load_sub_release(struct sq_load *, unsigned idx);
void sq_load_sub_filter(const struct sq_load *, unsigned idx, char *out, size_t cap);
bool sq_load_sub_packet(
    struct sq_load *, struct sq_load_sub *, struct sq_load_conn *, const struct sq_wire_frame *);

/* load.c.  False when the run can't go on. */
uint64_t sq_load_clock_ns(void);
bool sq_load_measuring(const struct sq_load *);
bool sq_load_sending(const struct sq_load *);
void sq_load_pids_before(struct sq_load *);
void sq_load_pids_after(struct sq_load *);
/* Moves from phase to phase, opening connections in the first. */
bool sq_load_step(struct sq_load *);
/* One wait and what it brought. */
bool sq_load_turn(struct sq_load *);
bool sq_load_interrupted(void);

/* load_ticks.c */
void sq_load_tick(struct sq_load *);
/* A message that was due at 'stamp' is acknowledged. */
void sq_load_tick_acked(struct sq_load *, uint64_t stamp);

/* load_idle.c: returns the exit status. */
int sq_load_idle_run(struct sq_load *);

/* load_filters.c: returns the exit status. */
int sq_load_filters_run(struct sq_load *);
bool sq_load_filters_packet(struct sq_load *, struct sq_load_conn *, const struct sq_wire_frame *);

/* load_report.c: prints; returns true if nothing is wrong with the run. */
bool sq_load_report(struct sq_load *);
void sq_load_report_idle(struct sq_load *);
void sq_load_report_filters(struct sq_load *);

#endif
