/* The receiver of declared messages; see receiver.h. */
#include "sidecar/declared/receiver.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/mem.h"
#include "proto/annotations/annotations.h"
#include "sidecar/hold/table.h"
#include "sidecar/hold/hold.h"

enum { NAMES_MAX = 5 }; /* of other clients, in a line */

struct sq_receiver {
	struct sq_holds *holds;
	struct sq_taker *taker;
	ev_timer timer;
	void (*chosen)(void *owner, struct sq_hold *);
	void *owner;
	struct sq_taker_client *now; /* whose session was handed on */
	bool warned;                 /* of others beside that one */
};

/* Puts a client id into a line: it may have any character in it. */
static void
note_id(struct sq_buf *out, const char *id)
{
	for (; *id != '\0'; id++)
		sq_buf_u8(out, (unsigned char)*id < 0x20 || *id == 0x7f ? '?' : (uint8_t)*id);
}

void
sq_receiver_note(const struct sq_receiver *k, struct sq_buf *out)
{
	const struct sq_taker_client *others[NAMES_MAX];
	size_t n = k != NULL ? sq_taker_others(k->taker, others, NAMES_MAX) : 0;

	if (k != NULL && sq_taker_unmatched(k->taker) > 0)
		sq_buf_printf(out,
		    "no client gets the declared messages: there are %zu, and the "
		    "annotation " SQ_ANNOTATION_CLIENT_ID " matches none\n",
		    sq_taker_unmatched(k->taker));
	if (n == 0)
		return;
	if (k->now != NULL) {
		sq_buf_printf(out, "client ");
		note_id(out, k->now->id);
		sq_buf_printf(out, " gets the declared messages, and not ");
	} else {
		sq_buf_printf(out,
		    "no client gets the declared messages, as all have published before they "
		    "received anything: ");
	}
	for (size_t i = 0; i < n && i < NAMES_MAX; i++) {
		sq_buf_printf(out, "%s", i > 0 ? ", " : "");
		note_id(out, others[i]->id);
	}
	if (n > NAMES_MAX)
		sq_buf_printf(out, " and %zu more", n - NAMES_MAX);
	sq_buf_printf(out, "; the annotation " SQ_ANNOTATION_CLIENT_ID " says which one should\n");
}

/* Logs the other clients, a line for each choice. */
static void
receiver_tell(struct sq_receiver *k)
{
	size_t n = sq_taker_others(k->taker, NULL, 0);
	struct sq_buf line = {0};

	sq_metric_set(k->holds->metrics, SQ_M_DECLARED_OTHERS, (int64_t)n);
	if (n == 0 || k->warned)
		return;
	k->warned = true;
	sq_receiver_note(k, &line);
	SQ_WARN("declared", "%.*s", (int)sq_buf_len(&line) - 1, (const char *)sq_buf_data(&line));
	sq_buf_fini(&line);
}

static void
receiver_arm(struct sq_receiver *k)
{
	sq_loop_ring(k->holds->loop, &k->timer, sq_taker_due_ms(k->taker));
}

static void
receiver_turn(struct sq_receiver *k)
{
	struct sq_taker_client *c = sq_taker_turn(k->taker, sq_holds_now(k->holds));

	if (c != k->now) {
		k->now = c;
		k->warned = false;
		k->chosen(k->owner, c != NULL ? c->owner : NULL);
	}
	receiver_tell(k);
	receiver_arm(k);
}

static void
receiver_on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	receiver_turn(w->data);
}

struct sq_receiver *
sq_receiver_new(struct sq_holds *h, void (*chosen)(void *, struct sq_hold *), void *owner)
{
	struct sq_receiver *k = sq_xcalloc(1, sizeof *k);

	k->holds = h;
	k->taker = sq_taker_new(h->cfg->declared_settle_ms);
	k->chosen = chosen;
	k->owner = owner;
	ev_timer_init(&k->timer, receiver_on_timer, 0.0, 0.0);
	k->timer.data = k;
	return k;
}

void
sq_receiver_free(struct sq_receiver **kp)
{
	struct sq_receiver *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	ev_timer_stop(k->holds->loop->ev, &k->timer);
	sq_taker_free(&k->taker);
	free(k);
}

void
sq_receiver_set(struct sq_receiver *k, bool wanted, char *const *globs, size_t n)
{
	sq_taker_wanted(k->taker, wanted);
	sq_taker_name(k->taker, globs, n);
	receiver_turn(k);
}

void
sq_receiver_opened(struct sq_receiver *k, struct sq_taker_client *c, struct sq_hold *hold)
{
	if (k == NULL)
		return;
	sq_taker_opened(k->taker, c, sq_hold_client_id(hold), hold, sq_holds_now(k->holds));
	receiver_turn(k);
}

void
sq_receiver_did(struct sq_receiver *k, struct sq_taker_client *c, enum sq_taker_flag flag)
{
	if (k == NULL)
		return;
	sq_taker_did(k->taker, c, flag);
	receiver_turn(k);
}

/* A client that looks like a publisher had declared messages, by nobody's wish. */
static void
receiver_account(const struct sq_receiver *k, const struct sq_taker_client *c)
{
	unsigned was = c->flags & (SQ_TAKER_TOOK | SQ_TAKER_PUBLISHED | SQ_TAKER_SUBSCRIBED);

	if (c->taken == 0 || was != (SQ_TAKER_TOOK | SQ_TAKER_PUBLISHED) ||
	    sq_taker_named(k->taker))
		return;
	SQ_WARN("declared",
	    "client %s, which is gone, took %" PRIu64 " declared messages, published and never "
	    "subscribed; the annotation " SQ_ANNOTATION_CLIENT_ID " says who should get them",
	    c->id, c->taken);
}

void
sq_receiver_left(struct sq_receiver *k, struct sq_taker_client *c)
{
	if (k == NULL || !c->in)
		return;
	receiver_account(k, c);
	sq_taker_left(k->taker, c, sq_holds_now(k->holds));
	receiver_turn(k);
}
