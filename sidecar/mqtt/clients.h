/* All clients, with their shared state.  On the loop's thread. */
#ifndef SQ_SIDECAR_MQTT_CLIENTS_H
#define SQ_SIDECAR_MQTT_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "sidecar/declared/declared.h"
#include "sidecar/hold/table.h"
#include "sidecar/mqtt/form.h"
#include "sidecar/mqtt/output.h"
#include "sidecar/mqtt/tracer.h"
#include "sidecar/outbox/outbox.h"

struct sq_hold_user;
struct sq_password_check;

/* Each member is written by the file in its comment alone; the others are fixed by
 * sq_clients_new(), which sets up all of them (clients.c). */
struct sq_clients {
	struct sq_loop *loop;
	const struct sq_sidecar_cfg *cfg;
	struct sq_holds *holds;
	struct sq_outbox *outbox;
	const struct sq_hold_user *user; /* a client as the user of its hold */
	struct sq_tracer *tracer;        /* NULL: publishes are not traced */
	/* clients.c */
	struct sq_declared *declared; /* set when it has been made; NULL: nothing is declared */
	struct sq_password_check *passwords; /* NULL: passwords are not checked */
	uint64_t evict_ms; /* when the next client may be disconnected for want of memory */
	bool stopping;     /* no CONNECT is accepted any more */
	/* client_end.c */
	struct sq_list all;
	size_t n; /* of them */
	/* output.c */
	struct sq_output_cache outputs;
	uint64_t bytes_received; /* client.c */
	/* client_out.c */
	uint64_t bytes_sent;
	struct sq_form form; /* of the last message that went to more than one client */
};

/* Makes an empty set of clients; the arguments must outlive it. */
struct sq_clients *sq_clients_new(struct sq_holds *, struct sq_outbox *);
/* Checks passwords from now on, if the configuration names a file.  False with a line in 'err'. */
bool sq_clients_passwords(struct sq_clients *, struct sq_buf *err);
/* Declares to clients what the pod's annotations say; once, before the first client. */
void sq_clients_declare(struct sq_clients *, struct sq_declared *);
/* Ends all clients at once, and frees '*cp', if any. */
void sq_clients_free(struct sq_clients **cp);
/* Accepts no client from now on; disconnects the present ones. */
void sq_clients_stop(struct sq_clients *);
/* Checks keep alive and time-outs of all clients; called once a second. */
void sq_clients_sweep(struct sq_clients *);
/* Disconnects the clients that hold most memory while nothing new is accepted for want of it;
 * called in each turn of the loop. */
void sq_clients_make_room(struct sq_clients *);
/* The number of clients that have their CONNACK. */
size_t sq_clients_open(const struct sq_clients *);

#endif
