#include "store/shared/log_peers.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct peer {
	struct sq_shared_peer row;
	uint64_t seen_ms; /* when it was new here, or its beats changed */
	bool beats;       /* they have changed: a row alone may be of a broker that is long gone */
};

struct sq_log_peers {
	struct peer v[SQ_LOG_PEERS_MAX];
	unsigned n;
};

struct sq_log_peers *
sq_log_peers_new(void)
{
	return sq_xcalloc(1, sizeof(struct sq_log_peers));
}

void
sq_log_peers_free(struct sq_log_peers **pp)
{
	free(*pp);
	*pp = NULL;
}

/* Whether 'a' makes place before 'b': one whose beats have never changed, or have not for longer. */
static bool
peer_goes_before(const struct peer *a, const struct peer *b)
{
	return a->beats != b->beats ? !a->beats : a->seen_ms < b->seen_ms;
}

/* The place of a broker, or one for it. */
static struct peer *
peers_place(struct sq_log_peers *p, const char *id)
{
	struct peer *oldest = &p->v[0];

	for (unsigned i = 0; i < p->n; i++) {
		if (strcmp(p->v[i].row.id, id) == 0)
			return &p->v[i];
		if (peer_goes_before(&p->v[i], oldest))
			oldest = &p->v[i];
	}
	if (p->n < SQ_LOG_PEERS_MAX)
		oldest = &p->v[p->n++];
	*oldest = (struct peer){0};
	return oldest;
}

void
sq_log_peers_see(struct sq_log_peers *p, const struct sq_shared_peer *row, uint64_t now_ms)
{
	struct peer *at = peers_place(p, row->id);
	bool new = at->row.id[0] == '\0';

	if (!new && at->row.beats != row->beats)
		at->beats = true;
	if (new || at->row.beats != row->beats)
		at->seen_ms = now_ms;
	at->row = *row;
}

static bool
peer_lives(const struct peer *at, uint64_t now_ms)
{
	return at->beats && now_ms - at->seen_ms < SQ_LOG_PEERS_LIVE_MS;
}

unsigned
sq_log_peers_live(const struct sq_log_peers *p, uint64_t now_ms)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n; i++)
		n += peer_lives(&p->v[i], now_ms);
	return n;
}

uint64_t
sq_log_peers_kept(const struct sq_log_peers *p, uint64_t now_ms)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < p->n; i++) {
		if (peer_lives(&p->v[i], now_ms) && p->v[i].row.kept < least)
			least = p->v[i].row.kept;
	}
	return least;
}

unsigned
sq_log_peers_format(const struct sq_log_peers *p, uint64_t now_ms, unsigned format)
{
	for (unsigned i = 0; i < p->n; i++) {
		const struct peer *at = &p->v[i];

		if (now_ms - at->seen_ms < SQ_LOG_PEERS_FORMAT_MS && at->row.format_max != 0 &&
		    at->row.format_max < format)
			format = at->row.format_max;
	}
	return format;
}

const struct sq_shared_peer *
sq_log_peers_first(const struct sq_log_peers *p, uint64_t now_ms, const char *but)
{
	const struct sq_shared_peer *first = NULL;

	for (unsigned i = 0; i < p->n; i++) {
		const struct sq_shared_peer *row = &p->v[i].row;

		if (peer_lives(&p->v[i], now_ms) && strcmp(row->id, but) != 0 &&
		    (first == NULL || row->applied > first->applied ||
			(row->applied == first->applied && strcmp(row->id, first->id) < 0)))
			first = row;
	}
	return first;
}

const struct sq_shared_peer *
sq_log_peers_writer(const struct sq_log_peers *p, uint64_t now_ms, const char *owner)
{
	const struct sq_shared_peer *first = sq_log_peers_first(p, now_ms, owner);
	const struct sq_shared_peer *writer = first;

	for (unsigned i = 0; i < p->n; i++) {
		const struct sq_shared_peer *row = &p->v[i].row;

		if (peer_lives(&p->v[i], now_ms) && strcmp(row->id, owner) != 0 &&
		    row->applied + SQ_LOG_PEERS_NEAR >= first->applied &&
		    strcmp(row->id, writer->id) < 0)
			writer = row;
	}
	return writer;
}

uint64_t
sq_log_peers_kept_recent(const struct sq_log_peers *p, uint64_t now_ms)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < p->n; i++) {
		if (now_ms - p->v[i].seen_ms < SQ_LOG_PEERS_RECENT_MS && p->v[i].row.kept < least)
			least = p->v[i].row.kept;
	}
	return least;
}
