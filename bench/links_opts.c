/* The command line of bench_links. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/links.h"
#include "bench/opts.h"

static const char usage[] =
    "usage: bench_links [options] -- [keys of a sidecar's configuration]\n"
    "\n"
    "Sessions on links to a broker, without clients and their sockets.  Each has a topic of its "
    "own\n"
    "and publishes to another's, at QoS 1, one message at a time.  Example:\n"
    "\n"
    "  bench_links --links 4 --sessions 200 -- --brokers 127.0.0.1:7443 --tls.enabled false\n"
    "\n"
    "  --links N      connections, each of a pod of its own (1000)\n"
    "  --sessions N   over all links; at least two for each (100000)\n"
    "  --durable      durable sessions\n"
    "  --expiry S     their expiry (3600)\n"
    "  --size N       payload bytes, at least 16 (64)\n"
    "\n"
    "Commands come from standard input, one a line, each after the answer to the one before:\n"
    "\n"
    "  attach         all sessions attach and subscribe\n"
    "  load R S       R messages a second for S seconds, from each session in turn\n"
    "  round          a message from each session, at once\n"
    "  outage         the same; and who kills the broker then hears when each session was "
    "attached\n"
    "                 anew, and had a message acknowledged since\n"
    "\n"
    "The answer is a line of JSON, when it is done; the first comes when all links are up.  Times "
    "are\n"
    "on CLOCK_MONOTONIC, in seconds.  The end of the input ends the program.\n";

void
sq_links_options(struct sq_links_opts *o, int argc, char **argv)
{
	enum { LINKS = 256, SESSIONS, DURABLE, EXPIRY, SIZE };
	static const struct option options[] = {
	    {"links", 1, NULL, LINKS},
	    {"sessions", 1, NULL, SESSIONS},
	    {"durable", 0, NULL, DURABLE},
	    {"expiry", 1, NULL, EXPIRY},
	    {"size", 1, NULL, SIZE},
	    {"help", 0, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int opt;

	*o = (struct sq_links_opts){
	    .links = 1000, .sessions = 100000, .expiry_s = 3600, .size = 64};
	while ((opt = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		if (opt == LINKS)
			o->links = (uint32_t)sq_opts_uint("--links", optarg, 1, 100000);
		else if (opt == SESSIONS)
			o->sessions = (uint32_t)sq_opts_uint("--sessions", optarg, 2, 10000000);
		else if (opt == DURABLE)
			o->durable = true;
		else if (opt == EXPIRY)
			o->expiry_s = (uint32_t)sq_opts_uint("--expiry", optarg, 1, UINT32_MAX);
		else if (opt == SIZE)
			o->size = (uint32_t)sq_opts_uint(
			    "--size", optarg, SQ_LINKS_HEADER, 1 << 20);
		else if (opt == 'h')
			exit(fputs(usage, stdout) < 0);
		else
			exit(2);
	}
	if (o->sessions < 2 * o->links)
		sq_opts_die("--sessions", "at least two for each link");
	/* "--" or the program itself is the name before the keys. */
	o->argc = argc - optind + 1;
	o->argv = argv + optind - 1;
}
