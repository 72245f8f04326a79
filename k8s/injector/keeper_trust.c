/* The bundle of authorities on its way to those who verify; see k8s/injector/keeper_priv.h. */
#include "k8s/injector/keeper_priv.h"

void
sq_keeper_trust(struct sq_keeper *k, const struct sq_buf *bundle)
{
	if (sq_buf_equal(bundle, &k->trusted))
		return;
	sq_buf_fini(&k->trusted);
	sq_buf_append(&k->trusted, sq_buf_data(bundle), sq_buf_len(bundle));
	k->cfg.trust(k->cfg.owner, bundle);
}
