/* The generator's command line. */
#include "bench/load.h"
#include "bench/opts.h"

#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "usage: sqmqos-bench [options]\n"
    "\n"
    "Loads MQTT brokers and checks what comes out: loss, duplicates, order, times.\n"
    "\n"
    "Where\n"
    "  --pub ADDR          where publishers connect: host:port or a unix path (127.0.0.1:1883);\n"
    "                      up to 256 times: to each in turn\n"
    "  --sub ADDR          where subscribers connect (as --pub)\n"
    "  --raw               no broker: connect to --pub, listen on --sub, and send PUBLISH\n"
    "                      packets through whatever is between; QoS 0 only\n"
    "Who and what\n"
    "  -P, --publishers N  (1)\n"
    "  -S, --subscribers N (1)\n"
    "  -t, --topology T    pairs (n-th publisher to n-th subscriber), fanout (one topic,\n"
    "                      everybody gets all), fanin (a topic per publisher, everybody\n"
    "                      gets all by wildcard) (pairs)\n"
    "  --shared GROUP      subscribers share by $share/GROUP/...\n"
    "  --mqtt 3|5          protocol: 3.1.1 or 5 (5)\n"
    "  -q, --qos N         (0)\n"
    "  -s, --size N        payload bytes, at least 24 (64)\n"
    "  --durable           durable sessions, ended with the run (MQTT 5)\n"
    "  --expiry S          their expiry (3600)\n"
    "Over several runs, with the same --prefix\n"
    "  --keep              durable sessions stay when the run ends\n"
    "  --resume            the subscribers' sessions are there: no SUBSCRIBE\n"
    "  --first N           the number of each publisher's first message (0)\n"
    "  --expect N          the number that is due first at subscribers (as --first)\n"
    "  --take N            publish nothing: N messages of each publisher wait\n"
    "  --pace              subscribers acknowledge a message for each one published, so that\n"
    "                      as many wait all along; pairs and QoS 1 only\n"
    "  --receive-max N     unacknowledged deliveries of a subscriber (MQTT 5)\n"
    "How\n"
    "  -r, --rate N        open loop: N messages a second over all publishers; latency counts\n"
    "                      from when a message was due, sent or not\n"
    "  -w, --window N      closed loop: N messages in flight per publisher, unacknowledged at\n"
    "                      QoS 1 and 2, undelivered at QoS 0; with --rate or --flood the\n"
    "                      limit of unacknowledged ones (10000)\n"
    "  --backlog N         QoS 1 and 2: at most N undelivered ones per publisher, too\n"
    "  --flood             as fast as the socket takes them\n"
    "  -d, --duration S    measured seconds (5)\n"
    "  -n, --count N       measure until N messages per publisher are through instead\n"
    "  --warmup S          not counted (1; 0 with --count)\n"
    "  --settle S          between connecting and sending (0)\n"
    "  --drain S           wait for what is still under way, at most (10)\n"
    "Idle clients\n"
    "  --idle N            connect N clients to --pub and hold them until a signal\n"
    "  --subscribe         each of them subscribes to a topic of its own\n"
    "  --hold S            hold them S seconds instead\n"
    "  --connect-rate N    connections a second (no limit)\n"
    "Subscribing\n"
    "  --filters N         one client subscribes at --sub to N topics, each by a SUBSCRIBE of\n"
    "                      its own, and that is all; --window N: unanswered at a time (1)\n"
    "Results\n"
    "  --pid NAME=PID      CPU and memory of that process, too; up to 16 times\n"
    "  --json              one JSON object instead of a table\n"
    "  --ticks MS          and one every MS before it: messages acknowledged since, the longest\n"
    "                      time that one of them was due, and that one is due that is not\n"
    "  --quiet             no progress on standard error\n"
    "  --prefix NAME       of client ids and topics (bench-<pid>)\n"
    "\n"
    "Exit status: 0; 1 if a message was lost, reordered or refused at QoS 1 or 2, or\n"
    "duplicated at QoS 2; 2 for a wrong command line; 3 if the run could not be done.\n";

static double
opts_seconds(const char *name, const char *arg)
{
	char *end;
	double v = strtod(arg, &end);

	if (end == arg || *end != '\0' || !(v >= 0 && v <= 1e6))
		sq_opts_die(name, arg);
	return v;
}

static void
opts_addr(const char *arg, struct sq_load_addrs *all)
{
	struct sq_load_addr *a = &all->at[all->n];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *res;
	const char *colon = strrchr(arg, ':');
	char host[256];
	size_t n;

	if (all->n++ == SQ_LOAD_ADDRS_MAX)
		sq_opts_die("too many addresses", arg);
	memset(a, 0, sizeof *a);
	if (arg[0] == '/' || colon == NULL) {
		if (strlen(arg) >= sizeof a->un.sun_path)
			sq_opts_die("path too long", arg);
		a->un.sun_family = AF_UNIX;
		strcpy(a->un.sun_path, arg);
		a->len = sizeof a->un;
		return;
	}
	n = (size_t)(colon - arg);
	if (n >= sizeof host)
		sq_opts_die("host too long", arg);
	if (n >= 2 && arg[0] == '[' && arg[n - 1] == ']') {
		arg++;
		n -= 2;
	}
	memcpy(host, arg, n);
	host[n] = '\0';
	if (getaddrinfo(n > 0 ? host : "127.0.0.1", colon + 1, &hints, &res) != 0)
		sq_opts_die("not an address", arg);
	memcpy(&a->any, res->ai_addr, res->ai_addrlen);
	a->len = res->ai_addrlen;
	freeaddrinfo(res);
}

static void
opts_pid(struct sq_load_opts *o, char *arg)
{
	char *eq = strchr(arg, '=');

	if (eq == NULL || eq == arg || o->npids == SQ_LOAD_PIDS_MAX)
		sq_opts_die("--pid", arg);
	*eq = '\0';
	o->pid[o->npids].name = arg;
	o->pid[o->npids].pid = (pid_t)sq_opts_uint("--pid", eq + 1, 1, INT32_MAX);
	o->npids++;
}

static enum sq_load_topology
opts_topology(const char *arg)
{
	static const char *const names[] = {"pairs", "fanout", "fanin"};

	for (unsigned i = 0; i < 3; i++)
		if (strcmp(arg, names[i]) == 0)
			return (enum sq_load_topology)i;
	sq_opts_die("--topology", arg);
	abort();
}

enum { /* options without a letter */
	O_PUB = 256,
	O_SUB,
	O_RAW,
	O_SHARED,
	O_MQTT,
	O_DURABLE,
	O_EXPIRY,
	O_BACKLOG,
	O_FLOOD,
	O_WARMUP,
	O_SETTLE,
	O_DRAIN,
	O_IDLE,
	O_SUBSCRIBE,
	O_HOLD,
	O_CONNECT_RATE,
	O_PID,
	O_JSON,
	O_QUIET,
	O_PREFIX,
	O_KEEP,
	O_RESUME,
	O_FIRST,
	O_EXPECT,
	O_TAKE,
	O_PACE,
	O_RECEIVE_MAX,
	O_FILTERS,
	O_TICKS,
};

static const struct option options[] = {
    {"pub", 1, NULL, O_PUB},
    {"sub", 1, NULL, O_SUB},
    {"raw", 0, NULL, O_RAW},
    {"publishers", 1, NULL, 'P'},
    {"subscribers", 1, NULL, 'S'},
    {"topology", 1, NULL, 't'},
    {"shared", 1, NULL, O_SHARED},
    {"mqtt", 1, NULL, O_MQTT},
    {"qos", 1, NULL, 'q'},
    {"size", 1, NULL, 's'},
    {"durable", 0, NULL, O_DURABLE},
    {"expiry", 1, NULL, O_EXPIRY},
    {"rate", 1, NULL, 'r'},
    {"window", 1, NULL, 'w'},
    {"backlog", 1, NULL, O_BACKLOG},
    {"flood", 0, NULL, O_FLOOD},
    {"duration", 1, NULL, 'd'},
    {"count", 1, NULL, 'n'},
    {"warmup", 1, NULL, O_WARMUP},
    {"settle", 1, NULL, O_SETTLE},
    {"drain", 1, NULL, O_DRAIN},
    {"idle", 1, NULL, O_IDLE},
    {"subscribe", 0, NULL, O_SUBSCRIBE},
    {"hold", 1, NULL, O_HOLD},
    {"connect-rate", 1, NULL, O_CONNECT_RATE},
    {"pid", 1, NULL, O_PID},
    {"json", 0, NULL, O_JSON},
    {"ticks", 1, NULL, O_TICKS},
    {"quiet", 0, NULL, O_QUIET},
    {"prefix", 1, NULL, O_PREFIX},
    {"keep", 0, NULL, O_KEEP},
    {"resume", 0, NULL, O_RESUME},
    {"first", 1, NULL, O_FIRST},
    {"expect", 1, NULL, O_EXPECT},
    {"take", 1, NULL, O_TAKE},
    {"pace", 0, NULL, O_PACE},
    {"receive-max", 1, NULL, O_RECEIVE_MAX},
    {"filters", 1, NULL, O_FILTERS},
    {"help", 0, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Between whom. */
static bool
opts_take_where(struct sq_load_opts *o, int opt, char *arg)
{
	switch (opt) {
	case O_PUB:
		opts_addr(arg, &o->pub);
		return true;
	case O_SUB:
		opts_addr(arg, &o->sub);
		return true;
	case O_RAW:
		o->raw = true;
		return true;
	case 'P':
		o->publishers = (unsigned)sq_opts_uint("--publishers", arg, 1, 60000);
		return true;
	case 'S':
		o->subscribers = (unsigned)sq_opts_uint("--subscribers", arg, 0, 60000);
		return true;
	case 't':
		o->topology = opts_topology(arg);
		return true;
	case O_SHARED:
		o->shared = arg;
		return true;
	case O_FILTERS:
		o->filters = (uint32_t)sq_opts_uint("--filters", arg, 1, 1000000);
		return true;
	default:
		return false;
	}
}

/* What a message and a session are. */
static bool
opts_take_what(struct sq_load_opts *o, int opt, char *arg)
{
	switch (opt) {
	case O_MQTT:
		o->v5 = sq_opts_uint("--mqtt", arg, 3, 5) == 5;
		return true;
	case 'q':
		o->qos = (uint8_t)sq_opts_uint("--qos", arg, 0, 2);
		return true;
	case 's':
		o->size = sq_opts_uint("--size", arg, SQ_LOAD_HEADER, 64 << 20);
		return true;
	case O_DURABLE:
		o->durable = true;
		return true;
	case O_EXPIRY:
		o->expiry_s = (uint32_t)sq_opts_uint("--expiry", arg, 1, UINT32_MAX);
		return true;
	case O_PREFIX:
		if (strlen(arg) >= sizeof o->prefix)
			sq_opts_die("--prefix", arg);
		strcpy(o->prefix, arg);
		return true;
	default:
		return false;
	}
}

/* A run that goes on with the sessions of another. */
static bool
opts_take_over(struct sq_load_opts *o, int opt, char *arg)
{
	switch (opt) {
	case O_KEEP:
		o->keep = true;
		return true;
	case O_RESUME:
		o->resume = true;
		return true;
	case O_FIRST:
		o->first = sq_opts_uint("--first", arg, 0, UINT32_MAX);
		return true;
	case O_EXPECT:
		o->expect = sq_opts_uint("--expect", arg, 0, UINT32_MAX);
		return true;
	case O_TAKE:
		o->take = sq_opts_uint("--take", arg, 1, UINT32_MAX);
		return true;
	case O_PACE:
		o->pace = true;
		return true;
	case O_RECEIVE_MAX:
		o->receive_max = (uint16_t)sq_opts_uint("--receive-max", arg, 1, UINT16_MAX);
		return true;
	default:
		return false;
	}
}

/* How messages are sent, and for how long. */
static bool
opts_take_how(struct sq_load_opts *o, int opt, char *arg)
{
	switch (opt) {
	case 'r':
		o->rate = sq_opts_uint("--rate", arg, 1, 1000000000);
		o->mode = SQ_LOAD_RATE;
		return true;
	case 'w':
		o->window = sq_opts_uint("--window", arg, 1, 1000000);
		return true;
	case O_BACKLOG:
		o->backlog = sq_opts_uint("--backlog", arg, 1, 1000000000);
		return true;
	case O_FLOOD:
		o->mode = SQ_LOAD_FLOOD;
		return true;
	case 'd':
		o->duration_s = opts_seconds("--duration", arg);
		return true;
	case 'n':
		o->count = sq_opts_uint("--count", arg, 1, UINT32_MAX);
		return true;
	case O_WARMUP:
		o->warmup_s = opts_seconds("--warmup", arg);
		return true;
	case O_SETTLE:
		o->settle_s = opts_seconds("--settle", arg);
		return true;
	case O_DRAIN:
		o->drain_s = opts_seconds("--drain", arg);
		return true;
	default:
		return false;
	}
}

/* Clients that do nothing. */
static bool
opts_take_idle(struct sq_load_opts *o, int opt, char *arg)
{
	switch (opt) {
	case O_IDLE:
		o->idle = (unsigned)sq_opts_uint("--idle", arg, 1, 1000000);
		return true;
	case O_SUBSCRIBE:
		o->idle_subscribe = true;
		return true;
	case O_HOLD:
		o->hold_s = opts_seconds("--hold", arg);
		return true;
	case O_CONNECT_RATE:
		o->connect_rate = sq_opts_uint("--connect-rate", arg, 1, 1000000);
		return true;
	default:
		return false;
	}
}

/* What is told. */
static bool
opts_take_results(struct sq_load_opts *o, int opt, char *arg)
{
	switch (opt) {
	case O_PID:
		opts_pid(o, arg);
		return true;
	case O_JSON:
		o->json = true;
		return true;
	case O_TICKS:
		o->tick_ms = sq_opts_uint("--ticks", arg, 1, 60000);
		return true;
	case O_QUIET:
		o->quiet = true;
		return true;
	default:
		return false;
	}
}

static bool
opts_take(struct sq_load_opts *o, int opt, char *arg)
{
	return opts_take_where(o, opt, arg) || opts_take_what(o, opt, arg) ||
	    opts_take_over(o, opt, arg) || opts_take_how(o, opt, arg) ||
	    opts_take_idle(o, opt, arg) || opts_take_results(o, opt, arg);
}

static void
opts_settle_over(struct sq_load_opts *o)
{
	if (o->expect == 0 && o->take == 0)
		o->expect = o->first;
	if (o->pace && (o->topology != SQ_LOAD_PAIRS || o->qos != 1 || o->receive_max == 0))
		sq_opts_die("--pace", "wants --topology pairs, --qos 1 and --receive-max");
	if (o->take == 0)
		return;
	if (o->subscribers == 0 || o->pace || o->mode != SQ_LOAD_WINDOW)
		sq_opts_die("--take", "wants subscribers, and nothing to publish");
	o->first = o->expect + o->take;
	o->count = o->take;
	o->warmup_s = 0;
}

/* What can't go together, and what follows from what. */
static void
opts_settle(struct sq_load_opts *o)
{
	if (o->window == 0)
		o->window = o->filters > 0 ? 1 : o->mode == SQ_LOAD_WINDOW ? 100 : 10000;
	if (o->warmup_s < 0)
		o->warmup_s = o->count > 0 ? 0 : 1;
	if (o->pub.n == 0)
		opts_addr("127.0.0.1:1883", &o->pub);
	if (o->sub.n == 0)
		o->sub = o->pub;
	if (o->filters > 0) {
		if (o->idle > 0 || o->raw || o->window > SQ_LOAD_PACKET_IDS)
			sq_opts_die("--filters", "neither --idle nor --raw, and --window to 65535");
		o->idle = 1; /* connected as one that does nothing */
	}
	if (o->idle > 0)
		return;
	opts_settle_over(o);
	if (o->raw) {
		if (o->qos != 0 || o->shared != NULL || o->durable)
			sq_opts_die("--raw", "only QoS 0, no sessions");
		if (o->subscribers > 0)
			o->subscribers = 1;
		o->topology = SQ_LOAD_FANIN;
		return;
	}
	if (o->topology == SQ_LOAD_PAIRS && o->shared == NULL && o->publishers != o->subscribers &&
	    o->subscribers > 0)
		sq_opts_die("--topology pairs", "wants as many publishers as subscribers");
	if (o->topology == SQ_LOAD_PAIRS && o->shared != NULL)
		o->topology = SQ_LOAD_FANIN;
}

void
sq_load_opts_parse(struct sq_load_opts *o, int argc, char **argv)
{
	int opt;

	*o = (struct sq_load_opts){
	    .publishers = 1,
	    .subscribers = 1,
	    .mode = SQ_LOAD_WINDOW,
	    .v5 = true,
	    .size = 64,
	    .expiry_s = 3600,
	    .duration_s = 5,
	    .warmup_s = -1,
	    .drain_s = 10,
	    .hold_s = -1,
	};
	snprintf(o->prefix, sizeof o->prefix, "bench-%d", (int)getpid());
	while ((opt = getopt_long(argc, argv, "P:S:t:q:s:r:w:d:n:h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			exit(0);
		}
		if (!opts_take(o, opt, optarg))
			sq_opts_die("wrong option", argv[optind - 1]);
	}
	if (optind < argc)
		sq_opts_die("unexpected argument", argv[optind]);
	opts_settle(o);
}
