#include "broker/front/link/view.h"

#include <stdio.h>

#include "broker/auth/identity/identity.h"
#include "broker/front/link/deliveries.h"
#include "broker/view/view.h"
#include "core/wallclock.h"
#include "web/worker.h"

/* X(symbol, name, type, unit, help) */
#define LINK_COLUMNS(X) \
	X(LINK, "link", NUMBER, "", "its number, which no other has in a run of the broker") \
	X(ID, "id", TEXT, "", "of the protocol, as in logs") \
	X(PEER, "peer", TEXT, "", "address and port of the sidecar") \
	X(IDENTITY, "identity", TEXT, "", \
	    "whose token or certificate opened it; null: nobody was asked") \
	X(SPACES, "spaces", TEXTS, "", "that it may name; empty: any") \
	X(VERSION, "version", NUMBER, "", "of the protocol") \
	X(WORKER, "worker", NUMBER, "", "which has its connection") \
	X(SINCE, "since", TIME, "ms", "when it opened") \
	X(SESSIONS, "sessions", NUMBER, "", "that are attached over it, or about to be") \
	X(DELIVERED, "delivered", NUMBER, "", "messages to its sessions") \
	X(BYTES, "bytes", NUMBER, "bytes", "of deliveries, written so far") \
	X(WAITING, "waiting", NUMBER, "bytes", "that are not written") \
	X(SLOW, "slow", TRUTH, "", "so many wait that its sessions wait, too") \
	X(LEAVING, "leaving", TRUTH, "", "has been asked to move")

#define LINK_COLUMN(symbol, name, type, unit, help) LINK_##symbol,
enum link_column { LINK_COLUMNS(LINK_COLUMN) LINK_COLUMN_COUNT };
#undef LINK_COLUMN

static const struct sq_view_column link_columns[] = {LINK_COLUMNS(SQ_VIEW_COLUMN)};

static const struct sq_view_table link_view = {
    .name = "links",
    .help = "Links of sidecars.",
    .named = "peer",
    .whole = true,
    .columns = link_columns,
    .n_columns = LINK_COLUMN_COUNT,
};

static void
link_holder_cells(struct sq_view_slice *v, const struct sq_identity *who)
{
	if (who->name[0] != '\0')
		sq_view_text(v, LINK_IDENTITY, who->name);
	sq_view_no_texts(v, LINK_SPACES);
	for (size_t i = 0; i < who->n_spaces; i++)
		sq_view_add_text(v, LINK_SPACES, sq_bytes_of(who->spaces[i]));
}

static void
link_row(
    struct sq_view_slice *v, const struct sq_link_part *p, const struct sq_deliveries_seen *seen)
{
	const struct sq_outlet *o = sq_link_outlet(seen->link);
	struct sq_link_output output = sq_link_output(seen->link);
	char peer[SQ_CONN_PEER_MAX], id[17];

	sq_conn_peer(seen->conn, peer);
	if (!sq_view_wants(v, "", peer))
		return;
	(void)snprintf(id, sizeof id, "%016llx", (unsigned long long)sq_link_id(seen->link));
	sq_view_row(v);
	sq_view_number(v, LINK_LINK, sq_outlet_number(o));
	sq_view_text(v, LINK_ID, id);
	sq_view_text(v, LINK_PEER, peer);
	link_holder_cells(v, sq_outlet_identity(o));
	sq_view_number(v, LINK_VERSION, sq_link_version(seen->link));
	sq_view_number(v, LINK_WORKER, sq_worker_index(p->worker));
	sq_view_number(
	    v, LINK_SINCE, sq_wallclock_from_mono(seen->since_ms, sq_worker_now_ms(p->worker)));
	sq_view_number(v, LINK_SESSIONS, atomic_load(&o->sessions));
	sq_view_number(v, LINK_DELIVERED, output.delivered);
	sq_view_number(v, LINK_BYTES, seen->bytes);
	sq_view_number(v, LINK_WAITING, output.waiting);
	sq_view_truth(v, LINK_SLOW, !sq_outlet_writable(o));
	sq_view_truth(v, LINK_LEAVING, sq_conn_moved(seen->conn));
}

/* Each worker goes over all links, and shows its own. */
static bool
link_walk(void *owner, unsigned worker, struct sq_view_slice *v)
{
	struct sq_link_part *p = &((struct sq_link_front *)owner)->parts[worker];
	struct sq_view_place at = {sq_view_from(v).of, 0};
	struct sq_deliveries_seen seen;

	while (sq_deliveries_seek(p, &at.of, &seen)) {
		if (!sq_view_visit(v, at))
			return false;
		if (seen.conn != NULL)
			link_row(v, p, &seen);
		if (++at.of == 0)
			break;
	}
	return true;
}

void
sq_link_front_view(struct sq_service *service, struct sq_view *v)
{
	struct sq_link_front *f = SQ_CONTAINER_OF(service, struct sq_link_front, service);

	sq_view_add(v, &(struct sq_view_source){&link_view, link_walk, f, true});
}
