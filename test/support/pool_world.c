/* Support for the pool's tests; see support/pool_world.h. */
#include "pool_world.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"

static _Atomic int64_t values[SQ_NET_COUNTS];
static const struct sq_metrics metrics = {.values = values, .n = SQ_NET_COUNTS};
static struct sq_net_counts counts = {.metrics = &metrics}; /* each in the row of its number */
static char folder[64], log_path[80];
static uint64_t watch_until_ms;
static const char *watch_what;

static void
world_on_up(void *owner, struct sq_uplink *l)
{
	struct world *w = owner;

	w->ups++;
	w->last_up = l;
}

static void
world_on_draining(void *owner, struct sq_uplink *l)
{
	struct world *w = owner;

	assert(sq_uplink_draining(l));
	w->drains++;
}

static void
world_on_down(void *owner, struct sq_uplink *l)
{
	struct world *w = owner;

	w->downs++;
	w->downs_with_requests += w->unanswered != 0;
	if (w->last_up == l)
		w->last_up = NULL;
}

static void
world_on_deliver(
    void *owner, struct sq_uplink *l, const struct sq_deliver *d, struct sq_block *block)
{
	struct world *w = owner;
	struct sq_bytes payload = sq_image_payload(d->image), targets = d->targets;

	w->delivered++;
	w->in_blocks += block != NULL;
	if (block != NULL)
		assert(d->image >= block->bytes &&
		    d->image + sq_image_size(d->image) <= block->bytes + block->size);
	sq_buf_printf(&w->frames, "deliver %.*s", (int)payload.len, (const char *)payload.p);
	for (unsigned i = 0; i < d->n; i++)
		sq_buf_printf(
		    &w->frames, " %llu", (unsigned long long)sq_target_next(&targets).epoch);
	sq_buf_printf(&w->frames, "\n");
	if (w->fail_with != NULL)
		sq_uplink_fail(l, w->fail_with);
}

static void
world_on_detached(
    void *owner, struct sq_uplink *l, uint64_t epoch, uint8_t reason, struct sq_bytes text)
{
	struct world *w = owner;

	(void)l;
	sq_buf_printf(&w->frames, "detached %llu %02x%s%.*s\n", (unsigned long long)epoch, reason,
	    text.len > 0 ? " " : "", (int)text.len, (const char *)text.p);
}

static void
world_on_kept(void *owner, struct sq_uplink *l, const struct sq_frame *f)
{
	struct world *w = owner;

	(void)l;
	sq_buf_printf(&w->frames, "kept %llu %u\n", (unsigned long long)f->epoch, f->n_kept);
}

static void
world_on_subscribed(void *owner, struct sq_uplink *l, const struct sq_frame *f)
{
	struct world *w = owner;

	(void)l;
	sq_buf_printf(&w->frames, "subscribed %llu %u\n", (unsigned long long)f->epoch, f->mark);
}

static const struct sq_pool_events world_events = {
    .up = world_on_up,
    .draining = world_on_draining,
    .down = world_on_down,
    .frames =
	{
	    .deliver = world_on_deliver,
	    .detached = world_on_detached,
	    .subscribed = world_on_subscribed,
	    .kept = world_on_kept,
	},
};

void
world_init(struct world *w)
{
	memset(w, 0, sizeof *w);
	for (size_t i = 0; i < SQ_NET_COUNTS; i++) {
		values[i] = 0;
		counts.rows[i] = i;
	}
	w->loop = ev_loop_new(EVFLAG_AUTO);
	w->brokers.v = w->names;
	w->cfg = (struct sq_pool_cfg){
	    .brokers = &w->brokers,
	    .links_per_broker = 1,
	    .brokers_max = 1,
	    .backoff_min_ms = 5,
	    .backoff_max_ms = 40,
	    .dial_timeout_ms = 10000,
	    .silence_ms = 10000,
	    .max_frame = 2 * 1024 * 1024,
	    .counts = &counts,
	};
}

void
world_add_broker(struct world *w, const char *address)
{
	assert(w->brokers.n < WORLD_BROKERS);
	w->names[w->brokers.n++] = sq_xstrdup(address);
}

bool
world_start(struct world *w)
{
	w->pool = sq_pool_new(w->loop, &w->cfg, &world_events, w, &w->err);
	sq_buf_u8(&w->err, 0);
	return w->pool != NULL;
}

void
world_fini(struct world *w)
{
	sq_pool_free(&w->pool);
	assert(values[SQ_NET_LINKS] == 0);
	ev_loop_destroy(w->loop);
	for (size_t i = 0; i < w->brokers.n; i++)
		free(w->names[i]);
	sq_buf_fini(&w->err);
	sq_buf_fini(&w->frames);
}

void
world_watch(struct world *w, const char *what)
{
	(void)w;
	watch_what = what;
	watch_until_ms = sq_clock_ms() + WORLD_SECONDS * 1000;
}

static void
world_on_tick(EV_P_ struct ev_timer *t, int revents)
{
	(void)EV_A, (void)t, (void)revents;
}

/* One turn; a timer lets conditions of other threads be looked at. */
void
world_turn(struct world *w)
{
	struct ev_timer tick;

	if (sq_clock_ms() > watch_until_ms) {
		fprintf(stderr, "gave up waiting for: %s\n", watch_what);
		abort();
	}
	ev_timer_init(&tick, world_on_tick, 0.005, 0.);
	ev_timer_start(w->loop, &tick);
	ev_run(w->loop, EVRUN_ONCE);
	ev_timer_stop(w->loop, &tick);
}

int64_t
world_count(const struct world *w, enum sq_net_count what)
{
	(void)w;
	return values[what];
}

static void
call_done(struct sq_request *req, const struct sq_answer *a)
{
	struct call *c = SQ_CONTAINER_OF(req, struct call, req);

	c->done = true;
	c->dones++;
	c->answer = *a;
	sq_buf_append(&c->body, a->body, a->len);
	c->world->unanswered--;
}

static void
call_make(struct call *c, struct world *w, struct sq_uplink *l, bool put, const char *path,
    const void *a, size_t a_len, const void *b, size_t b_len)
{
	memset(c, 0, sizeof *c);
	c->req.method = put ? SQ_PUT : SQ_POST;
	c->world = w;
	(void)snprintf(c->path, sizeof c->path, "%s", path);
	c->req.path = c->path;
	c->req.body[0] = (struct iovec){(void *)(uintptr_t)a, a_len};
	c->req.body[1] = (struct iovec){(void *)(uintptr_t)b, b_len};
	c->req.n_body = b_len != 0 ? 2 : a_len != 0;
	c->req.done = call_done;
	w->unanswered++;
	sq_uplink_send(l, &c->req);
	assert(!c->done);
}

void
call_send(struct call *c, struct world *w, struct sq_uplink *l, const char *path, const void *a,
    size_t a_len, const void *b, size_t b_len)
{
	call_make(c, w, l, false, path, a, a_len, b, b_len);
}

void
call_put(struct call *c, struct world *w, struct sq_uplink *l, const char *path, const void *a,
    size_t a_len)
{
	call_make(c, w, l, true, path, a, a_len, NULL, 0);
}

void
call_fini(struct call *c)
{
	sq_buf_fini(&c->body);
}

void
world_log_capture(void)
{
	int fd;

	(void)snprintf(log_path, sizeof log_path, "%s", world_file("log"));
	fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	assert(fd >= 0);
	(void)dup2(fd, STDERR_FILENO);
	close(fd);
}

const char *
world_log(void)
{
	static char text[65536];
	FILE *f = fopen(log_path, "r");
	size_t n;

	assert(f != NULL);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

const char *
world_file(const char *name)
{
	static char paths[8][128];
	static unsigned i;

	if (folder[0] == '\0') {
		(void)snprintf(folder, sizeof folder, "/tmp/sq_test_pool_XXXXXX");
		if (mkdtemp(folder) == NULL)
			abort();
	}
	i = (i + 1) % 8;
	(void)snprintf(paths[i], sizeof paths[i], "%s/%s", folder, name);
	return paths[i];
}

void
world_write(const char *name, const char *text)
{
	char tmp[128];
	FILE *f;

	(void)snprintf(tmp, sizeof tmp, "%s", world_file("tmp"));
	f = fopen(tmp, "w");
	assert(f != NULL);
	fputs(text, f);
	fclose(f);
	if (rename(tmp, world_file(name)) != 0)
		abort();
}

void
world_certs(void)
{
	char cmd[1200];

	(void)world_file("");
	(void)snprintf(cmd, sizeof cmd,
	    "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
	    "-subj /CN=test -addext subjectAltName=DNS:broker.test,IP:127.0.0.1 "
	    "-keyout key.pem -out cert.pem 2>/dev/null && cp cert.pem ca.pem && "
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
	    "-subj /CN=other -keyout other-key.pem -out other.pem 2>/dev/null",
	    folder);
	if (system(cmd) != 0)
		abort();
}

void
world_certs_remove(void)
{
	char cmd[128];

	if (folder[0] == '\0')
		return;
	(void)snprintf(cmd, sizeof cmd, "rm -rf %s", folder);
	(void)!system(cmd);
	folder[0] = '\0';
}
