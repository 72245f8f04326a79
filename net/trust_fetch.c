/* GET of the bundle; see net/trust_fetch.h. */
#include "net/trust_fetch.h"

#include "core/log.h"
#include "proto/link/trust.h"

/* The bundle, or why it did not come. */
static void
fetch_on_answer(struct sq_request *req, const struct sq_answer *a)
{
	struct sq_trust_fetch *f = SQ_CONTAINER_OF(req, struct sq_trust_fetch, ask);
	struct sq_bytes pem = {a->body, a->len};
	struct sq_buf why = {0};
	int rc = SQ_EINVAL;

	f->asking = false;
	if (a->status == 0)
		return; /* the link was lost: the next one tells again */
	if (a->status == 200)
		rc = sq_trust_take(f->trust, pem, &why);
	else
		sq_buf_printf(&why, "HTTP %u", a->status);
	if (rc == SQ_OK) {
		sq_net_count(f->counts, SQ_NET_TRUST_CHANGES, 1);
		SQ_INFO("trust", "the broker's authorities are trusted from now on");
	} else {
		SQ_WARN("trust", "the broker's authorities were not taken: %.*s",
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	}
	sq_buf_fini(&why);
}

void
sq_trust_fetch_told(struct sq_trust_fetch *f, struct sq_uplink *link, uint64_t digest)
{
	if (f->asking || !sq_trust_wants(f->trust, digest))
		return;
	f->asking = true;
	f->ask = (struct sq_request){
	    .method = SQ_GET,
	    .path = SQ_TRUST_PATH,
	    .done = fetch_on_answer,
	};
	sq_list_init(&f->ask.node);
	sq_uplink_send(link, &f->ask);
}
