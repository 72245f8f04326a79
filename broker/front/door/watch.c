#include "broker/front/door/watch.h"

bool
sq_watch_rests(const struct sq_conn *c)
{
	return c->waiting > 0 && c->input.protocol == SQ_INPUT_HTTP1 && c->sock->_cb.read == NULL;
}

void
sq_watch_conn(struct sq_conn *c)
{
	struct sq_input *in = &c->input;
	h2o_socket_t *sock = c->sock;

	if (sock == NULL || in->protocol == SQ_INPUT_NEW)
		return;
	if ((c->bodies.over_ms != 0 || in->held_up) && sock->_cb.read != NULL)
		h2o_socket_read_stop(sock); /* h2o may have begun again by itself */
	if (sock->_cb.read == in->on_read)
		return;
	sq_list_remove(&in->unread);
	if (sock->_cb.read == NULL) {
		if (!sq_watch_rests(c))
			sq_list_push_back(&c->part->unread, &in->unread);
		return;
	}
	in->next = sock->_cb.read;
	sock->_cb.read = in->on_read;
}

/* Over HTTP/1.1 h2o reads by itself once the request that it has is answered, and taken out of the
 * input. */
void
sq_watch_again(struct sq_conn *c)
{
	bool reads = c->input.protocol == SQ_INPUT_HTTP2 || c->times.coming != 0 ||
	    c->sock->input->size == 0;

	if (c->sock->_cb.read != NULL || !reads)
		return;
	h2o_socket_read_start(c->sock, c->input.next);
	sq_watch_conn(c);
}
