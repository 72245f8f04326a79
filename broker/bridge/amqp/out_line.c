/* What a line does with messages that go out; see broker/bridge/amqp/out_priv.h. */
#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/amqp/out_priv.h"
#include "broker/bridge/amqp/topology.h"
#include "core/clock.h"
#include "core/mem.h"

enum {
	PATIENCE_MIN_MS = 30000, /* for a confirm */
	PATIENCE_MAX_MS = 600000,
	WRITE_BYTES = 16384, /* until the socket is asked whether it takes more */
};

/* Messages. */

/* Takes in what the worker has given. */
static void
line_take(struct sq_amqp_out_line *l)
{
	struct sq_list taken;

	sq_list_init(&taken);
	pthread_mutex_lock(&l->f->half.lock);
	sq_list_splice(&taken, &l->inbox);
	pthread_mutex_unlock(&l->f->half.lock);
	SQ_LIST_FOR_EACH_SAFE(it, &taken, struct sq_amqp_item, node) {
		sq_list_remove(&it->node);
		sq_list_push_back(&l->waiting, &it->node);
		sq_list_push_back(&l->buckets[it->lane % SQ_AMQP_BUCKETS], &it->in_lane);
		if (sq_amqp_out_is_halted(l, it))
			sq_amqp_out_later(l, it, false);
	}
}

/* Maps a message and sends it. */
static int
line_publish(struct sq_amqp_out_line *l, struct sq_amqp_peer *peer, struct sq_amqp_item *it,
    struct sq_buf *why)
{
	const struct sq_bridge_cfg *cfg = l->f->half.cfg;
	const struct sq_offered *o = it->offered;
	struct sq_buf unfit = {0};
	char *text;
	int rc;

	rc = sq_amqp_map_out(l->map, o, sq_bridge_cfg_out(cfg, o->rule), cfg->space,
	    l->f->half.env.queue, sq_amqp_peer_frame_max(peer), sq_clock_wall_ms(), &unfit);
	if (rc != SQ_OK) {
		text = sq_buf_take_text(&unfit);
		sq_amqp_out_end(l, it, SQ_OFFER_NEVER,
		    rc == SQ_ETOOBIG ? SQ_OFFER_TOO_LARGE : SQ_OFFER_UNMAPPABLE, text);
		free(text);
		return SQ_OK;
	}
	sq_list_remove(&it->node);
	it->state = SQ_AMQP_OUT;
	l->ring[l->next++ & l->mask] = it;
	l->out++;
	l->written += l->map->body.len + l->map->bytes;
	rc = amqp_basic_publish(sq_amqp_peer_state(peer), SQ_AMQP_CHANNEL, l->map->exchange,
	    l->map->key, 1, 0, &l->map->props, l->map->body);
	if (rc == AMQP_STATUS_OK)
		return SQ_OK;
	sq_buf_printf(why, "the connection broke: %s", amqp_error_string2(rc));
	return sq_amqp_peer_fail(peer, SQ_AMQP_LOST);
}

/* Whether bytes can be written without waiting.  A peer that blocks us reads nothing, and says so on what
 * we must read meanwhile. */
static bool
line_writes(struct sq_amqp_out_line *l, struct sq_amqp_peer *peer)
{
	struct pollfd fd = {.fd = sq_amqp_peer_fd(peer), .events = POLLOUT};

	if (l->written < WRITE_BYTES)
		return true;
	if (poll(&fd, 1, 0) != 1)
		return false;
	l->written = 0;
	return true;
}

/* The next message that may go out; NULL: there is none. */
static struct sq_amqp_item *
line_next(const struct sq_amqp_out_line *l, const struct sq_amqp_peer *peer)
{
	if (sq_amqp_peer_blocked(peer) || l->out >= (l->careful > 0 ? 1 : l->f->window) ||
	    l->next - l->low > l->mask)
		return NULL;
	return SQ_LIST_FIRST(&l->waiting, struct sq_amqp_item, node);
}

/* librabbitmq writes each message by itself: those of a turn share packets. */
static int
line_send(struct sq_amqp_out_line *l, struct sq_amqp_peer *peer, struct sq_amqp_wants *wants,
    struct sq_buf *why)
{
	struct sq_amqp_item *it = line_next(l, peer);
	int rc = SQ_OK;

	if (it == NULL)
		return SQ_OK;
	sq_amqp_peer_cork(peer, true);
	while (rc == SQ_OK && it != NULL) {
		if (!line_writes(l, peer)) {
			wants->write = true;
			break;
		}
		rc = line_publish(l, peer, it, why);
		it = line_next(l, peer);
	}
	sq_amqp_peer_cork(peer, false);
	return rc;
}

/* Tells the worker whether the peer has blocked us. */
static void
line_blocked(struct sq_amqp_out_line *l, bool blocked)
{
	bool news;

	pthread_mutex_lock(&l->f->half.lock);
	news = l->blocked != blocked;
	l->blocked = blocked;
	pthread_mutex_unlock(&l->f->half.lock);
	if (news)
		sq_amqp_half_post(&l->f->half);
}

/* Gives the connection up when the oldest message was not confirmed for too long: another node, or the
 * same one asked anew, may take it. */
static int
line_wait(struct sq_amqp_out_line *l, struct sq_amqp_peer *peer, struct sq_amqp_wants *wants,
    struct sq_buf *why)
{
	struct sq_amqp_patience *p = &l->patience;
	uint64_t now_ms = sq_clock_ms();

	if (l->out == 0 || p->tag != l->low || sq_amqp_peer_blocked(peer)) {
		if (p->tag != 0 && l->low > p->tag)
			p->ms = PATIENCE_MIN_MS;
		p->tag = l->low;
		p->since_ms = now_ms;
	}
	if (l->out == 0)
		return SQ_OK;
	wants->at_ms = p->since_ms + p->ms;
	if (now_ms < wants->at_ms)
		return SQ_OK;
	sq_buf_printf(why, "a message was not confirmed for %u s", (unsigned)(p->ms / 1000));
	p->ms = p->ms < PATIENCE_MAX_MS / 2 ? 2 * p->ms : PATIENCE_MAX_MS;
	return sq_amqp_peer_fail(peer, SQ_AMQP_LOST);
}

static int
line_work(void *arg, struct sq_amqp_peer *peer, struct sq_amqp_wants *wants, struct sq_buf *why)
{
	struct sq_amqp_out_line *l = arg;
	int rc = SQ_OK;

	line_take(l);
	line_blocked(l, peer != NULL && sq_amqp_peer_blocked(peer));
	if (peer != NULL) {
		sq_amqp_half_look(&l->f->half, l->proved);
		l->proved = false;
		rc = line_send(l, peer, wants, why);
		if (rc == SQ_OK)
			rc = line_wait(l, peer, wants, why);
	} else {
		sq_amqp_out_return(l, true, 0);
	}
	sq_amqp_out_flush(l);
	wants->idle = l->out == 0 && sq_list_empty(&l->waiting);
	return rc;
}

/* The connection. */

static int
line_up(void *arg, struct sq_amqp_peer *peer, struct sq_buf *why)
{
	return sq_amqp_out_prepare(arg, peer, why);
}

static void
line_down(void *arg)
{
	struct sq_amqp_out_line *l = arg;

	l->patience.tag = l->refused_ms = 0;
	line_take(l);
	sq_amqp_out_give_back(l);
	sq_amqp_out_flush(l);
	line_blocked(l, false);
}

static void
line_state(void *arg, bool up, enum sq_amqp_trouble trouble, const char *why)
{
	struct sq_amqp_out_line *l = arg;

	sq_amqp_half_state(&l->f->half, l->index, up, trouble, why);
}

const struct sq_amqp_line_user sq_amqp_out_line_user = {.up = line_up,
    .frame = sq_amqp_out_frame,
    .work = line_work,
    .down = line_down,
    .state = line_state};

void
sq_amqp_out_line_init(struct sq_amqp_out_line *l, struct sq_amqp_forwarder *f, unsigned index)
{
	uint64_t size = 1;

	while (size < 4 * (uint64_t)f->window) /* a late confirm does not stop the others */
		size *= 2;
	l->f = f;
	l->index = index;
	l->map = sq_amqp_out_new();
	l->ring = sq_xcalloc(size, sizeof(struct sq_amqp_item *));
	l->mask = size - 1;
	l->low = l->next = 1;
	l->patience.ms = PATIENCE_MIN_MS;
	sq_list_init(&l->waiting);
	sq_list_init(&l->done);
	sq_list_init(&l->inbox);
	for (unsigned i = 0; i < SQ_AMQP_BUCKETS; i++)
		sq_list_init(&l->buckets[i]);
}

void
sq_amqp_out_line_fini(struct sq_amqp_out_line *l)
{
	assert(sq_list_empty(&l->waiting) && sq_list_empty(&l->inbox));
	sq_amqp_out_free(&l->map);
	sq_buf_fini(&l->returning.words);
	free(l->halts);
	free(l->ring);
}
