/* bench_links: links, sessions, and their end; see links.h. */
#include "bench/links.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"
#include "sidecar/metrics/metrics.h"

enum { DESCRIPTORS = 64 /* other than those of links */ };

/* As many descriptors as the links want; false: the hard limit is lower. */
static bool
links_descriptors(unsigned links)
{
	struct rlimit rl;
	rlim_t want = links + DESCRIPTORS;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0 || rl.rlim_cur >= want)
		return true;
	if (rl.rlim_max != RLIM_INFINITY && rl.rlim_max < want) {
		fprintf(stderr,
		    "bench_links: %u links want %llu descriptors, and ulimit -Hn is %llu\n", links,
		    (unsigned long long)want, (unsigned long long)rl.rlim_max);
		return false;
	}
	rl.rlim_cur = want;
	return setrlimit(RLIMIT_NOFILE, &rl) == 0;
}

static bool
links_open(struct sq_links *l, struct sq_buf *err)
{
	l->cfgs = sq_xcalloc(l->o.links, sizeof *l->cfgs);
	l->tables = sq_xcalloc(l->o.links, sizeof(*l->tables));
	for (unsigned i = 0; i < l->o.links; i++) {
		char pod[32];

		snprintf(pod, sizeof pod, "pod-%u", i);
		l->cfgs[i] = l->cfg;
		l->cfgs[i].pod = sq_xstrdup(pod);
		l->tables[i] = sq_holds_new(l->loop, &l->cfgs[i], &sq_sidecar_metrics);
		if (sq_holds_dial(l->tables[i], err) != SQ_OK)
			return false;
	}
	return true;
}

static void
links_close(struct sq_links *l)
{
	for (unsigned i = 0; i < l->o.links && l->tables[i] != NULL; i++) {
		sq_holds_end(l->tables[i]);
		sq_holds_free(&l->tables[i]);
		free(l->cfgs[i].pod);
	}
	free(l->tables);
	free(l->cfgs);
}

static bool
links_run(struct sq_links *l, struct sq_buf *err)
{
	bool open;

	l->loop = sq_loop_new(ev_default_loop(EVFLAG_AUTO));
	l->sessions = sq_xcalloc(l->o.sessions, sizeof *l->sessions);
	for (uint32_t i = 0; i < l->o.sessions; i++)
		l->sessions[i].of = l;
	open = links_open(l, err);
	if (open) {
		sq_links_phases_start(l);
		ev_run(l->loop->ev, 0);
		sq_links_phases_stop(l);
	}
	links_close(l);
	for (uint32_t i = 0; i < l->o.sessions; i++)
		sq_track_fini(&l->sessions[i].seen);
	free(l->sessions);
	sq_loop_free(&l->loop);
	return open;
}

int
main(int argc, char **argv, char **envp)
{
	struct sq_links l = {0};
	struct sq_buf err = {0};
	bool good;

	sq_links_options(&l.o, argc, argv);
	if (!links_descriptors(l.o.links))
		return 3;
	signal(SIGPIPE, SIG_IGN);
	good = sq_sidecar_config(&l.cfg, l.o.argc, l.o.argv, envp, &err) == SQ_OK;
	if (good) {
		l.cfg.links_per_broker = l.cfg.brokers_max = 1;
		sq_log_set_level((enum sq_log_level)l.cfg.log_level);
		sq_memory_start();
		good = links_run(&l, &err);
	}
	if (!good)
		fprintf(stderr, "bench_links: %.*s\n", (int)sq_buf_len(&err),
		    (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
	sq_sidecar_config_free(&l.cfg);
	ev_loop_destroy(ev_default_loop(EVFLAG_AUTO));
	return good ? 0 : 3;
}
