/* All clients, and what they share. */
#ifndef SQ_SIDECAR_MQTT_CLIENTS_H
#define SQ_SIDECAR_MQTT_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "sidecar/declared/declared.h"
#include "sidecar/hold/table.h"
#include "sidecar/mqtt/output.h"
#include "sidecar/outbox/outbox.h"

struct sq_hold_user;
struct sq_password_check;

struct sq_clients {
	struct sq_loop *loop;
	const struct sq_sidecar_cfg *cfg;
	struct sq_holds *holds;
	struct sq_outbox *outbox;
	struct sq_declared *declared;        /* set once it is there; NULL: nothing is declared */
	struct sq_password_check *passwords; /* NULL: they are not looked at */
	const struct sq_hold_user *user;     /* a client as the user of its hold */
	struct sq_list all;
	size_t n;
	struct sq_output_cache outputs;
	uint64_t bytes_received, bytes_sent;
	uint64_t evict_ms; /* when the next one may go for want of memory */
	bool stopping;     /* no CONNECT is taken any more */
};

/* What is given must stay. */
struct sq_clients *sq_clients_new(struct sq_holds *, struct sq_outbox *);
/* Looks at passwords from now on, if the configuration names a file; false with a line in
 * 'err'. */
bool sq_clients_passwords(struct sq_clients *, struct sq_buf *err);
/* Ends all clients where they are, and frees '*cp', if any. */
void sq_clients_free(struct sq_clients **cp);
/* No new client; the others are told and leave. */
void sq_clients_stop(struct sq_clients *);
/* Once a second: keep alive, time-outs. */
void sq_clients_sweep(struct sq_clients *);
/* In each turn of the loop: while nothing is taken for want of memory, those go that hold most. */
void sq_clients_make_room(struct sq_clients *);
/* How many have their CONNACK. */
size_t sq_clients_open(const struct sq_clients *);

#endif
